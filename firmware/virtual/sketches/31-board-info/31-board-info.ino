#include <MD5Builder.h>
#include "esp_mac.h"
#include "esp_ota_ops.h"
#include "esp_system.h"
#include "soc/rtc_cntl_reg.h"
#include "soc/soc.h"

RTC_DATA_ATTR int unused;

void setup() {
  WRITE_PERI_REG(RTC_CNTL_BROWN_OUT_REG, 0);
  Serial.begin(115200);
  Serial.printf("%s, %d cores, %u MHz, %u MB flash\n", ESP.getChipModel(), ESP.getChipCores(), ESP.getCpuFreqMHz(),
                ESP.getFlashChipSize() >> 20);
  uint8_t mac[6];
  esp_read_mac(mac, ESP_MAC_WIFI_STA);
  uint64_t id = ESP.getEfuseMac();
  Serial.println(memcmp(&id, mac, 6) == 0 ? "one MAC" : "two MACs");
  Serial.printf("running from %s, next %s\n", esp_ota_get_running_partition()->label, esp_ota_get_next_update_partition(NULL)->label);
  Serial.println(ESP.getSketchSize() > 10000 && ESP.getSketchMD5().length() == 32 ? "knows its image" : "does not");
  MD5Builder md5;
  md5.begin();
  md5.add("hello");
  md5.calculate();
  Serial.println(md5.toString());
  ESP_ERROR_CHECK_WITHOUT_ABORT(ESP_FAIL);
  int64_t start = esp_timer_get_time();
  delayMicroseconds(2000);
  Serial.println(esp_timer_get_time() - start >= 2000 ? "time passes" : "time stands");
  IPAddress ip;
  Serial.println(ip.fromString("192.168.1.20") && !IPAddress().fromString("1.2.3.400") ? ip.toString() : "wrong");
  ESP_ERROR_CHECK(ESP_ERR_NOT_FOUND);
}

void loop() {}
