package faultlab

// program is what a release does, on whatever board.
type program string

const (
	good         program = "good"
	crashes      program = "crashes at once"
	crashesLater program = "crashes later"
	exhausts     program = "exhausts the heap"
	hangs        program = "hangs the agent"
	fails        program = "fails its self-test"
	restarts     program = "restarts for ever"
	crashesFirst program = "crashes before the agent runs"
	brownsOut    program = "browns out"
	busy         program = "never gives way"
	sleeps       program = "sleeps for ever"
	vetoes       program = "vetoes what is offered"
	noAgent      program = "has no agent"
	brokenAgent  program = "has an agent with a syntax error"
	returns      program = "comes to its end"
	leaves       program = "asks for a soft reset for ever"
	exits        program = "exits"
)

// sketches are the programs of an ESP32, built as the farm builds them: with the agent, and without a line for it.
var sketches = map[program]string{
	good: `
void setup() { Serial.println("hello"); }
void loop() {}`,
	crashes: `
void setup() {}
void loop() { abort(); }`,
	crashesLater: `
void setup() { delay(800); *(volatile int *)0 = 1; }
void loop() {}`,
	exhausts: `
char *volatile kept;
void setup() {}
void loop() { for (;;) kept = new char[1000]; }`,
	hangs: `
void setup() { FlotaOTA.onSelfTest([] { for (;;) delay(1000); return true; }); }
void loop() {}`,
	fails: `
void setup() { FlotaOTA.onSelfTest([] { return false; }); }
void loop() {}`,
	restarts: `
void setup() {}
void loop() { ESP.restart(); }`,
	crashesFirst: `
struct First { First() { abort(); } } first;
void setup() {}
void loop() {}`,
	brownsOut: `
#include <unistd.h>
#include <string>
void setup() { if (access((std::string(getenv("BOARD_DIR")) + "/fs/weak").c_str(), F_OK) == 0) _exit(66); }
void loop() {}`,
	busy: `
void setup() {}
void loop() { for (;;) {} }`,
	vetoes: `
void setup() { FlotaOTA.onOffer([](const FlotaUpdate &) { return false; }); }
void loop() {}`,
}

// programs are those of a Pico: files over those of the first flash.
var programs = map[program]files{
	good:         {"main.py": []byte("import time\nprint('hello')\nwhile True:\n    time.sleep_ms(100)\n")},
	crashes:      {"main.py": []byte("raise ValueError('at once')\n")},
	crashesLater: {"main.py": []byte("import time\ntime.sleep_ms(800)\n[][0]\n")},
	exhausts:     {"main.py": []byte("kept = []\nwhile True:\n    kept.append(bytearray(1000))\n")},
	hangs: {"main.py": []byte(
		"import flota_agent, time\ndef test():\n    while True:\n        time.sleep(1)\nflota_agent.on_self_test(test)\nwhile True:\n    time.sleep(1)\n")},
	fails:        {"main.py": []byte("import flota_agent, time\nflota_agent.on_self_test(lambda: False)\nwhile True:\n    time.sleep(1)\n")},
	restarts:     {"main.py": []byte("import machine\nmachine.reset()\n")},
	crashesFirst: {"flota_agent.py": []byte("raise RuntimeError('no agent')\n")},
	busy:         {"main.py": []byte("while True:\n    pass\n")},
	sleeps:       {"main.py": []byte("import time\nwhile True:\n    time.sleep(1)\n")},
	vetoes:       {"main.py": []byte("import flota_agent, time\nflota_agent.on_offer(lambda update: False)\nwhile True:\n    time.sleep_ms(100)\n")},
	noAgent:      {"flota_agent.py": []byte("")},
	brokenAgent:  {"flota_agent.py": []byte("def boot(:\n")},
	returns:      {"main.py": []byte("print('done')\n")},
	leaves:       {"main.py": []byte("import machine\nmachine.soft_reset()\n")},
	exits:        {"main.py": []byte("import sys\nsys.exit()\n")},
}
