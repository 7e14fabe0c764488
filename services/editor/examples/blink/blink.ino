// Blinks the built-in LED and counts on the serial port.
//
// There is nothing about updates here: the farm adds the agent that fetches,
// checks and installs them.

const unsigned long interval = 500;  // milliseconds

unsigned long blinks = 0;

void setup() {
  Serial.begin(115200);
  pinMode(LED_BUILTIN, OUTPUT);
  Serial.println("Hello from Blink");
}

void loop() {
  digitalWrite(LED_BUILTIN, HIGH);
  delay(interval);
  digitalWrite(LED_BUILTIN, LOW);
  delay(interval);

  blinks++;
  Serial.print("blinks: ");
  Serial.println(blinks);
}
