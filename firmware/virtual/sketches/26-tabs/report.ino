// Functions of another tab need no declaration.
void report(float value, bool on) {
  static int reports = 0;
  Serial.print(++reports);
  Serial.print(". ");
  Serial.print(value);
  Serial.println(on ? " heating" : " off");
}
