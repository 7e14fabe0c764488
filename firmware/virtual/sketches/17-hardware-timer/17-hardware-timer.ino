// The usual example of a timer interrupt, in both generations.
hw_timer_t *timer = NULL;
volatile SemaphoreHandle_t timerSemaphore;
portMUX_TYPE timerMux = portMUX_INITIALIZER_UNLOCKED;
volatile uint32_t isrCounter = 0;

void ARDUINO_ISR_ATTR onTimer() {
  portENTER_CRITICAL_ISR(&timerMux);
  isrCounter = isrCounter + 1;
  portEXIT_CRITICAL_ISR(&timerMux);
  xSemaphoreGiveFromISR(timerSemaphore, NULL);
}

void setup() {
  Serial.begin(115200);
  timerSemaphore = xSemaphoreCreateBinary();
#ifdef OLD_API
  timer = timerBegin(0, 80, true);
  timerAttachInterrupt(timer, &onTimer, true);
  timerAlarmWrite(timer, 20000, true);
  timerAlarmEnable(timer);
#else
  timer = timerBegin(1000000);
  timerAttachInterrupt(timer, &onTimer);
  timerAlarm(timer, 20000, true, 0);
#endif
  hw_timer_t *other = timerBegin(1, 80, true);
  delay(50);
  Serial.println(timerReadMicros(other) >= 50000 ? "counts microseconds" : "counts wrong");
}

void loop() {
  if (xSemaphoreTake(timerSemaphore, 0) == pdTRUE) {
    portENTER_CRITICAL(&timerMux);
    uint32_t count = isrCounter;
    portEXIT_CRITICAL(&timerMux);
    Serial.printf("onTimer no. %u\n", count);
    if (count >= 10 && timer) {
      timerEnd(timer);
      timer = NULL;
      Serial.println("timer ended");
    }
  }
}
