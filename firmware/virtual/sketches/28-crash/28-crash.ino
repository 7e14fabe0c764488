// A null pointer, as it happens; the board starts again and tells why.
struct Display {
  int width, height;
};

Display *display = nullptr;

void setup() {
  Serial.begin(115200);
  if (esp_reset_reason() == ESP_RST_PANIC) {
    Serial.println("started after a panic");
    return;
  }
  Serial.println("drawing");
  delay(10);
  display->height = 64;
  Serial.println("drawn");
}

void loop() {}
