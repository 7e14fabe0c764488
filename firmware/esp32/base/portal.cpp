// Not on a Pico; see base.ino.
#if !defined(ARDUINO_ARCH_RP2040)

#include "portal.h"

#include <DNSServer.h>
#include <WebServer.h>
#include <WiFi.h>

namespace {

WebServer server(80);
DNSServer names;

const char kPage[] =
    "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><title>Flota</title>"
    "<style>body{font:16px sans-serif;max-width:24em;margin:2em auto;padding:0 1em}"
    "input,button{font:inherit;width:100%;box-sizing:border-box;padding:.6em;margin:.2em 0 1em}</style>"
    "<h1>Wi-Fi</h1><p role=status>";
const char kForm[] =
    "</p><form method=post action=/wifi>"
    "<label>Network<input name=ssid required maxlength=32 autocapitalize=off autocorrect=off></label>"
    "<label>Password<input name=password type=password maxlength=64></label>"
    "<button>Join</button></form>";

}  // namespace

void Portal::page(int status, const char *message) {
  server.sendHeader("Cache-Control", "no-store");
  server.send(status, "text/html; charset=utf-8", String(kPage) + message + kForm);
}

bool Portal::open(const char *name, const char *password) {
  if (open_) return true;
  if (strlen(password) < 8 || !WiFi.softAP(name, password)) return false;
  static bool ready = false;
  if (!ready) {
    ready = true;
    server.on("/", [this]() { page(200, "This board cannot reach a network that it knows. Enter one:"); });
    server.on("/wifi", HTTP_POST, [this]() {
      const char *wrong = entered_(server.arg("ssid"), server.arg("password"));
      if (wrong[0] != 0) return page(400, wrong);
      page(200, "Stored. The board tries to join; this network goes away when it has.");
    });
    // Phones ask some page of their maker's whether there is an internet, and show what
    // they are sent to instead.
    server.onNotFound([]() {
      server.sendHeader("Location", "http://192.168.4.1/");
      server.send(302, "text/plain", "");
    });
  }
  server.begin();
  names.start(53, "*", WiFi.softAPIP());
  open_ = true;
  return true;
}

void Portal::close() {
  if (!open_) return;
  names.stop();
  server.stop();
  WiFi.softAPdisconnect(true);
  open_ = false;
}

void Portal::step() {
  if (!open_) return;
  names.processNextRequest();
  server.handleClient();
}

#endif
