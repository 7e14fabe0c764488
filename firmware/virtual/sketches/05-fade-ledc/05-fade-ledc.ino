// PWM in both generations of the interface, and a fade.
const int led = 5;
const int other = 18;

void setup() {
  Serial.begin(115200);
  // 2.x: a channel that pins are attached to
  Serial.println(ledcSetup(0, 5000, 8));
  ledcAttachPin(led, 0);
  for (int duty = 0; duty <= 255; duty += 51) {
    ledcWrite(0, duty);
    delay(30);
  }
  Serial.printf("duty %u\n", ledcRead(0));
  // 3.x: a pin
  if (!ledcAttach(other, 1000, 12)) Serial.println("no channel");
  ledcWrite(other, 2048);
  Serial.printf("duty %u of 4096, %u Hz\n", ledcRead(other), ledcReadFreq(other));
  delay(100);
  ledcFade(other, 2048, 4095, 200);
  analogWrite(LED_BUILTIN, 77);
}

void loop() {
  delay(10);
}
