#include <FS.h>
#include <LittleFS.h>

void listDir(fs::FS &fs, const char *dirname) {
  File root = fs.open(dirname);
  if (!root || !root.isDirectory()) {
    Serial.println("not a directory");
    return;
  }
  File file = root.openNextFile();
  int files = 0;
  while (file) {
    files++;
    file = root.openNextFile();
  }
  Serial.printf("%s has %d entries\n", dirname, files);
}

void setup() {
  Serial.begin(115200);
  if (!LittleFS.begin(true)) {
    Serial.println("LittleFS mount failed");
    return;
  }
  File log = LittleFS.open("/log.txt", FILE_APPEND);
  log.printf("start %d\n", (int)log.size() / 8 + 1);
  log.close();

  File again = LittleFS.open("/log.txt");
  while (again.available()) Serial.println("read: " + again.readStringUntil('\n'));
  bool first = again.size() < 10;
  again.close();
  if (first) ESP.restart();

  LittleFS.mkdir("/data");
  File f = LittleFS.open("/data/values.csv", FILE_WRITE);
  for (int i = 0; i < 10; i++) f.println(i * i);
  f.close();
  listDir(LittleFS, "/");
  listDir(LittleFS, "/data");
  Serial.println(LittleFS.exists("/data/values.csv") ? "there" : "gone");
  LittleFS.rename("/data/values.csv", "/data/v2.csv");
  f = LittleFS.open("/data/v2.csv");
  f.seek(3);
  Serial.println(f.parseInt());
  f.close();
  LittleFS.remove("/data/v2.csv");
  LittleFS.rmdir("/data");

  // The partition has an end.
  uint8_t block[4096] = {1};
  f = LittleFS.open("/big.bin", "w");
  size_t written = 0, n;
  while ((n = f.write(block, sizeof block)) == sizeof block) written += n;
  f.close();
  Serial.printf("full after %u of %u bytes: %s\n", (unsigned)written, (unsigned)LittleFS.totalBytes(),
                written > LittleFS.totalBytes() / 2 && written < LittleFS.totalBytes() ? "right" : "wrong");
  LittleFS.remove("/big.bin");
  Serial.println(LittleFS.open("/../../etc/passwd") ? "escaped" : "stays inside");
}

void loop() {}
