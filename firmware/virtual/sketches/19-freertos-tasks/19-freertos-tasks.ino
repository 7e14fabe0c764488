TaskHandle_t blinkTask, counterTask;
EventGroupHandle_t done = xEventGroupCreate();

void blink(void *parameter) {
  int pin = *(int *)parameter;
  pinMode(pin, OUTPUT);
  for (;;) {
    digitalWrite(pin, !digitalRead(pin));
    vTaskDelay(pdMS_TO_TICKS(50));
  }
}

void counter(void *) {
  TickType_t last = xTaskGetTickCount();
  for (int i = 1; i <= 3; i++) {
    vTaskDelayUntil(&last, 30 / portTICK_PERIOD_MS);
    Serial.printf("count %d on core %d in %s\n", i, xPortGetCoreID(), pcTaskGetName(NULL));
  }
  xEventGroupSetBits(done, BIT0);
  uint32_t woken = ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
  Serial.printf("notified %u\n", woken);
  xEventGroupSetBits(done, BIT1);
  vTaskDelete(NULL);
}

void setup() {
  Serial.begin(115200);
  static int pin = LED_BUILTIN;
  size_t before = ESP.getFreeHeap();
  xTaskCreate(blink, "blink", 2048, &pin, 1, &blinkTask);
  xTaskCreatePinnedToCore(counter, "counter", 4096, NULL, 2, &counterTask, 0);
  Serial.println(before - ESP.getFreeHeap() >= 6144 ? "stacks are paid for" : "stacks are free");
  xEventGroupWaitBits(done, BIT0, pdTRUE, pdTRUE, portMAX_DELAY);
  xTaskNotifyGive(counterTask);
  xEventGroupWaitBits(done, BIT1, pdTRUE, pdTRUE, portMAX_DELAY);
  vTaskSuspend(blinkTask);
  delay(60);
  int level = digitalRead(pin);
  delay(150);
  Serial.println(level == digitalRead(pin) ? "suspended" : "goes on");
  vTaskResume(blinkTask);
  delay(60);
  vTaskDelete(blinkTask);
  delay(60);
  Serial.println(eTaskGetState(blinkTask) == eDeleted ? "deleted" : "lives");
}

void loop() {
  Serial.println("loop was here");
  vTaskDelete(NULL);
}
