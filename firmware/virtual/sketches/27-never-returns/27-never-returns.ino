// loop() that is never left, and a task that goes on beside it.
void watcher(void *) {
  for (int i = 1;; i++) {
    delay(50);
    Serial.printf("watcher %d\n", i);
  }
}

void setup() {
  Serial.begin(115200);
  xTaskCreate(watcher, "watcher", 2048, NULL, 1, NULL);
}

void loop() {
  volatile uint32_t x = 1;
  while (true) x = x * 1664525 + 1013904223;
}
