// A form, its values kept, behind a password; and a file that is uploaded.
#include <LittleFS.h>
#include <Preferences.h>
#include <WebServer.h>
#include <WiFi.h>

WebServer server(80);
Preferences preferences;
File uploading;

const char page[] PROGMEM = R"(<form method="post" action="/save"><input name="name"><input name="interval"></form>)";

void handleUpload() {
  HTTPUpload &upload = server.upload();
  if (upload.status == UPLOAD_FILE_START) {
    uploading = LittleFS.open("/" + upload.filename, FILE_WRITE);
  } else if (upload.status == UPLOAD_FILE_WRITE) {
    uploading.write(upload.buf, upload.currentSize);
  } else if (upload.status == UPLOAD_FILE_END) {
    uploading.close();
    Serial.printf("uploaded %s, %u bytes\n", upload.filename.c_str(), (unsigned)upload.totalSize);
  }
}

void setup() {
  Serial.begin(115200);
  LittleFS.begin(true);
  preferences.begin("form");
  WiFi.softAP("setup-board");
  Serial.println(WiFi.softAPIP());
  server.on("/", HTTP_GET, []() { server.send_P(200, "text/html", page); });
  server.on("/save", HTTP_POST, []() {
    if (!server.hasArg("name") || server.arg("interval").toInt() <= 0) {
      server.send(400, "text/plain", "name and interval, please");
      return;
    }
    preferences.putString("name", server.arg("name"));
    preferences.putInt("interval", server.arg("interval").toInt());
    server.sendHeader("Location", "/");
    server.send(303);
  });
  server.on("/values", []() {
    if (!server.authenticate("admin", "secret")) return server.requestAuthentication();
    server.send(200, "text/plain", preferences.getString("name") + " every " + preferences.getInt("interval") + " s");
  });
  server.on("/upload", HTTP_POST, []() { server.send(200, "text/plain", "thank you"); }, handleUpload);
  server.serveStatic("/files", LittleFS, "/");
  server.begin();
  Serial.println("ready");
}

void loop() {
  server.handleClient();
}
