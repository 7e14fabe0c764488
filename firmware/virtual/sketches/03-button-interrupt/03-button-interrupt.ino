const byte buttonPin = 4;
volatile unsigned presses = 0;

void IRAM_ATTR pressed() {
  presses++;
}

void setup() {
  Serial.begin(115200);
  pinMode(buttonPin, INPUT_PULLUP);
  attachInterrupt(digitalPinToInterrupt(buttonPin), pressed, FALLING);
  Serial.printf("button is %s\n", digitalRead(buttonPin) == HIGH ? "up" : "down");
}

void loop() {
  static unsigned seen = 0;
  noInterrupts();
  unsigned now = presses;
  interrupts();
  if (now != seen) {
    seen = now;
    Serial.printf("presses: %u, level %d\n", seen, digitalRead(buttonPin));
  }
}
