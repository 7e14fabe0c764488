// What may come over the cable.
#include "fuzz/believing.h"
#include "json.h"
#include "machine.h"
#include "provision.h"

using namespace flota;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct Quiet final : Provisioned {
    ServerStatus status() override { return ServerStatus(); }
    void changed() override { known = true; }
    bool known = false;
  } quiet;
  static test::Power &power = *new test::Power;
  static test::Flash &flash = *new test::Flash(power);
  test::Memory storage(power);
  test::Wire wire(power);
  test::Lab board(power);
  test::Serial serial;
  Believing crypto;
  flota::Machine machine{wire, flash, storage, board, crypto, serial};
  storage.values["board"] = "before";
  auto before = storage.values;
  std::vector<char> room(kMaxLine);
  Dialogue dialogue(machine, quiet, room.data());
  // In two pieces, so that a line may end in either.
  size_t half = size / 2;
  dialogue.receive(data, half);
  dialogue.receive(data + half, size - half);
  dialogue.receive(reinterpret_cast<const uint8_t *>("\n"), 1);

  size_t at = 0;
  for (size_t end; (end = serial.out.find('\n', at)) != std::string::npos; at = end + 1) {
    std::vector<char> line(serial.out.begin() + long(at), serial.out.begin() + long(end));
    Json json(line.data(), line.size());
    Text name;
    require(json.object() && json.member(&name) && name == "flota");
    json.skip();
    while (json.member(&name)) {
      require(name != "key" && name != "password" && name != "ca");
      json.skip();
    }
    require(json.finish());
  }
  require(at == serial.out.size());
  // What it was given is right, or nothing of it is there.
  if (provisioned(storage)) {
    Settings settings;
    require(settings.load(storage, crypto));
  }
  Wifi networks[kMaxNetworks];
  if (storage.values.count("wifi") != 0) require(get_wifi(storage, networks) <= kMaxNetworks);
  if (serial.out.empty()) require(storage.values == before);
  return 0;
}
