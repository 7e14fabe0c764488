// Several tasks add to one number; software timers and counting semaphores besides.
#include <freertos/timers.h>

SemaphoreHandle_t mutex, finished;
int shared = 0;

void adder(void *) {
  for (int i = 0; i < 200; i++) {
    xSemaphoreTake(mutex, portMAX_DELAY);
    int seen = shared;
    if (i % 50 == 0) taskYIELD();
    shared = seen + 1;
    xSemaphoreGive(mutex);
  }
  xSemaphoreGive(finished);
  vTaskDelete(NULL);
}

int expiries = 0;
void expired(TimerHandle_t timer) {
  if (++expiries == 5) {
    xTimerStop(timer, 0);
    xSemaphoreGive(finished);
  }
}

void setup() {
  Serial.begin(115200);
  mutex = xSemaphoreCreateMutex();
  finished = xSemaphoreCreateCounting(5, 0);
  for (int i = 0; i < 4; i++) xTaskCreate(adder, "adder", 2048, NULL, 1, NULL);
  for (int i = 0; i < 4; i++) xSemaphoreTake(finished, portMAX_DELAY);
  Serial.printf("shared = %d\n", shared);

  SemaphoreHandle_t recursive = xSemaphoreCreateRecursiveMutex();
  xSemaphoreTakeRecursive(recursive, portMAX_DELAY);
  bool twice = xSemaphoreTakeRecursive(recursive, 0) == pdTRUE;
  Serial.println(twice ? "recursive" : "not recursive");
  Serial.println(xSemaphoreTake(mutex, 0) == pdTRUE && xSemaphoreTake(mutex, 0) == pdFALSE ? "exclusive" : "not exclusive");

  xTimerStart(xTimerCreate("five", pdMS_TO_TICKS(10), pdTRUE, NULL, expired), 0);
  xSemaphoreTake(finished, portMAX_DELAY);
  Serial.printf("timer expired %d times\n", expiries);
}

void loop() {
  delay(1000);
}
