#include <esp_task_wdt.h>

void setup() {
  Serial.begin(115200);
  if (esp_reset_reason() == ESP_RST_PANIC) {
    Serial.println("the watchdog bit");
    return;
  }
  esp_task_wdt_init(1, true);
  esp_task_wdt_add(NULL);
  for (int i = 0; i < 3; i++) {
    delay(300);
    esp_task_wdt_reset();
  }
  Serial.println("fed three times, now hanging");
  while (true) {
  }
}

void loop() {
  delay(100);
}
