#include <Arduino_JSON.h>

void setup() {
  Serial.begin(115200);
  const char input[] = "{\"result\":true,\"count\":42,\"price\":1.5e2,\"name\":\"J\\u00fcrg \\ud83d\\ude00\",\"list\":[1,[2],{}],\"none\":null}";
  JSONVar object = JSON.parse(input);
  if (JSON.typeof(object) == "undefined") {
    Serial.println("Parsing input failed!");
    return;
  }
  if (object.hasOwnProperty("result")) Serial.println((bool)object["result"] ? "result: true" : "result: false");
  int count = object["count"];
  double price = object["price"];
  Serial.printf("%d %.1f %s %d\n", count, price, (const char *)object["name"], object["list"].length());
  JSONVar keys = object.keys();
  for (int i = 0; i < keys.length(); i++) {
    JSONVar value = object[keys[i]];
    Serial.print(keys[i]);
    Serial.print(" is ");
    Serial.println(JSON.typeof(value));
  }
  JSONVar made;
  made["device"] = "bot_001";
  made["values"][0] = 1;
  made["values"][1] = -2.25;
  made["on"] = true;
  made["text"] = "a \"quote\"\n";
  made["copy"] = object["list"];
  made["missing"];
  Serial.println(made);
  Serial.println(JSON.parse(JSON.stringify(made)) == made ? "same again" : "different");
  const char *wrong[] = {"{", "[1,]", "{\"a\" 1}", "01", "\"\\x\"", "nul", "[1] 2", "\"\\ud800\""};
  int refused = 0;
  for (const char *text : wrong) refused += JSON.typeof(JSON.parse(text)) == "undefined";
  Serial.printf("%d of 8 refused\n", refused);
}

void loop() {}
