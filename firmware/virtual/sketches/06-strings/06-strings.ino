void check(const char *what, bool ok) {
  Serial.printf("%-22s %s\n", what, ok ? "ok" : "WRONG");
}

void setup() {
  Serial.begin(115200);
  String s = "Hello";
  s += ", ";
  s += String("World");
  s.concat('!');
  check("append", s == "Hello, World!");
  check("length", s.length() == 13);
  check("indexOf", s.indexOf("World") == 7 && s.indexOf('o', 5) == 8 && s.lastIndexOf('o') == 8 && s.indexOf("x") < 0);
  check("substring", s.substring(7, 12) == "World" && s.substring(7) == "World!");
  String r = s;
  r.replace("World", "wonderful world");
  check("replace", r == "Hello, wonderful world!");
  r.toUpperCase();
  check("upper", r.startsWith("HELLO") && r.endsWith("WORLD!"));
  String t = "  trimmed \n";
  t.trim();
  check("trim", t == "trimmed");
  t.remove(1, 2);
  check("remove", t == "tmmed");
  check("numbers", String(42) + String(-7L) + String(3.14159, 3) + String(255, HEX) + String(5, BIN) == "42-73.142ff101");
  check("toInt", String("123abc").toInt() == 123 && String("1.5").toFloat() == 1.5f);
  check("compare", String("a") < String("b") && String("Ab").equalsIgnoreCase("aB") && s.equals("Hello, World!"));
  check("charAt", s[0] == 'H' && s.charAt(4) == 'o' && s.charAt(99) == 0);
  s[0] = 'J';
  s.setCharAt(1, 'a');
  check("setCharAt", s.startsWith("Jallo"));
  char buffer[8];
  s.toCharArray(buffer, sizeof buffer);
  check("toCharArray", strcmp(buffer, "Jallo, ") == 0);
  String sum = "a=" + String(1) + ", b=" + 2 + ", c=" + 'x' + F(", d=") + 1.5f;
  check("sum", sum == "a=1, b=2, c=x, d=1.50");
  int fields = 0;
  String csv = "10,20,30,";
  for (int at = 0, end; (end = csv.indexOf(',', at)) >= 0; at = end + 1) fields += csv.substring(at, end).toInt();
  check("split", fields == 60);
  String big;
  for (int i = 0; i < 2000; i++) big += char('a' + i % 26);
  check("big", big.length() == 2000 && big[1999] == 'x');
  Serial.println(s + " done");
  Serial.println(255, HEX);
  Serial.println(-1, HEX);
  Serial.println(3.14159, 4);
  Serial.println(true);
  Serial.println('c');
}

void loop() {}
