struct Reading {
  int sensor;
  float value;
};

QueueHandle_t queue;

void producer(void *parameter) {
  int sensor = (int)(intptr_t)parameter;
  for (int i = 0; i < 5; i++) {
    Reading r = {sensor, sensor * 10 + i * 0.5f};
    xQueueSend(queue, &r, portMAX_DELAY);
    vTaskDelay(10);
  }
  vTaskDelete(NULL);
}

void setup() {
  Serial.begin(115200);
  queue = xQueueCreate(3, sizeof(Reading));
  xTaskCreate(producer, "one", 2048, (void *)1, 1, NULL);
  xTaskCreate(producer, "two", 2048, (void *)2, 1, NULL);
  float sum = 0;
  int received = 0;
  Reading r;
  while (xQueueReceive(queue, &r, pdMS_TO_TICKS(2000)) == pdPASS) {
    sum += r.value;
    if (++received == 10) break;
  }
  Serial.printf("%d readings, sum %.1f\n", received, sum);
  for (int i = 0; i < 3; i++) xQueueSend(queue, &r, 0);
  Serial.println(xQueueSend(queue, &r, 0) == errQUEUE_FULL ? "full" : "room");
  Serial.printf("%u waiting, %u free\n", uxQueueMessagesWaiting(queue), uxQueueSpacesAvailable(queue));
  xQueueReset(queue);
  unsigned long start = millis();
  bool got = xQueueReceive(queue, &r, 50) == pdTRUE;
  Serial.println(!got && millis() - start >= 50 ? "waited" : "did not wait");
}

void loop() {
  delay(1000);
}
