#define uS_TO_S_FACTOR 1000000ULL

RTC_DATA_ATTR int bootCount = 0;
RTC_DATA_ATTR const char *lastWords = "nothing yet";
int ordinary = 0;

void print_wakeup_reason() {
  switch (esp_sleep_get_wakeup_cause()) {
    case ESP_SLEEP_WAKEUP_EXT0:
      Serial.println("Wakeup caused by external signal using RTC_IO");
      break;
    case ESP_SLEEP_WAKEUP_TIMER:
      Serial.println("Wakeup caused by timer");
      break;
    default:
      Serial.printf("Wakeup was not caused by deep sleep: %d\n", esp_sleep_get_wakeup_cause());
  }
}

void setup() {
  Serial.begin(115200);
  ++bootCount;
  Serial.printf("Boot number: %d, ordinary %d\n", bootCount, ++ordinary);
  Serial.printf("last words: %s\n", lastWords);
  print_wakeup_reason();
  lastWords = bootCount == 1 ? "after the first" : "after another";
  if (bootCount == 1) {
    esp_sleep_enable_timer_wakeup(uS_TO_S_FACTOR / 5);
  } else if (bootCount == 2) {
    esp_sleep_enable_ext0_wakeup(GPIO_NUM_33, 1);
  } else {
    Serial.println("awake");
    ESP.restart();
  }
  Serial.println("Going to sleep now");
  esp_deep_sleep_start();
  Serial.println("This will never be printed");
}

void loop() {}
