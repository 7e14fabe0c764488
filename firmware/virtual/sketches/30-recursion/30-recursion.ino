// A stack has an end, also a task's.
int depth(int n) {
  volatile char frame[256];
  frame[0] = n;
  return n < 0 ? 0 : depth(n + 1) + frame[0];
}

void deep(void *) {
  Serial.println("going deep");
  Serial.println(depth(0));
}

void setup() {
  Serial.begin(115200);
  if (esp_reset_reason() == ESP_RST_PANIC) {
    Serial.println("back again");
    return;
  }
  xTaskCreate(deep, "deep", 4096, NULL, 1, NULL);
}

void loop() {
  delay(100);
}
