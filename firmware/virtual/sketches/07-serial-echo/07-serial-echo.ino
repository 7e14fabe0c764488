String line;

void setup() {
  Serial.begin(115200);
  while (!Serial) {
  }
  Serial.setTimeout(200);
  Serial.println("type something");
}

void loop() {
  while (Serial.available() > 0) {
    char c = Serial.read();
    if (c != '\n') {
      line += c;
      continue;
    }
    if (line.startsWith("sum")) {
      Serial.println("two numbers, please");
      long a = Serial.parseInt(), b = Serial.parseInt();
      Serial.printf("%ld + %ld = %ld\n", a, b, a + b);
    } else if (line == "word") {
      Serial.println("a word, please");
      String word = Serial.readStringUntil(' ');
      Serial.println("[" + word + "]");
    } else {
      Serial.print("echo: ");
      Serial.println(line);
    }
    line = "";
  }
}
