#include <Ticker.h>

Ticker blinker, once, changer;
volatile int ticks = 0;

void toggle() {
  digitalWrite(LED_BUILTIN, !digitalRead(LED_BUILTIN));
  ticks++;
}

void say(int number) {
  Serial.printf("once: %d\n", number);
}

void setup() {
  Serial.begin(115200);
  pinMode(LED_BUILTIN, OUTPUT);
  blinker.attach_ms(20, toggle);
  once.once(0.1, say, 42);
  changer.once_ms(300, []() {
    blinker.detach();
    Serial.printf("stopped, enough ticks: %s\n", ticks > 3 ? "yes" : "no");
  });
}

void loop() {}
