const int sensorPin = 34;

void setup() {
  Serial.begin(115200);
  analogReadResolution(12);
}

void loop() {
  int value = analogRead(sensorPin);
  float voltage = value * (3.3 / 4095.0);
  int percent = map(value, 0, 4095, 0, 100);
  Serial.print("raw ");
  Serial.print(value);
  Serial.print(" = ");
  Serial.print(voltage, 2);
  Serial.print(" V, ");
  Serial.print(constrain(percent, 0, 100));
  Serial.println(" %");
  delay(20);
}
