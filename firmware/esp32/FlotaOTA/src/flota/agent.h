// The update agent: it polls, decides, installs, tries, and goes back. README.md of
// the library shows it as a picture.
#pragma once

#include <atomic>

#include "client.h"
#include "download.h"
#include "provision.h"
#include "reports.h"
#include "timing.h"
#include "trial.h"

namespace flota {

// Event is what a sketch is told of an update. Its texts are valid during the call.
struct Event {
  State state;
  uint8_t percent;
  const char *version;
  Reason reason;
  uint32_t size;
};

// Sketch is what the agent asks of the program around it. All of it is called in the
// agent's task.
class Sketch {
 public:
  virtual ~Sketch() = default;
  virtual void update(const Event &event) = 0;
  virtual bool accepts(const Event &event) = 0;  // false refuses a release for good
  virtual bool ready() = 0;                      // is it safe to restart now?
  virtual bool works() = 0;                      // the self-test of a new image
};

class Agent final : public Provisioned, private Download::Progress {
 public:
  Agent(Machine &machine, Sketch &sketch);
  ~Agent() override;

  // run is the agent's task. It never returns.
  [[noreturn]] void run();
  // What run does: once, and again and again.
  void begin();
  void step();

  // For other tasks:
  void check() { check_ = true; }  // poll at once
  // How many polls ended with nothing left to do but to wait.
  uint32_t checkins() const { return checkins_; }
  // Whether the image that runs is on trial, and whether an update is under way.
  bool pending() const { return pending_; }
  bool busy() const { return busy_; }
  const char *version() const { return version_; }  // of the release that runs; "" when unknown
  // Who serves the cable itself, with a Dialogue of its own, tells the agent to leave it.
  void leave_cable() { cable_ = false; }
  // What is in the storage is other than before.
  void changed() override { changed_ = true; }
  ServerStatus status() override;

 private:
  enum class Decision : uint8_t { install, refuse, ignore, broken };

  void load();
  void runs(const Release &release);
  void start_trial();
  void listen();
  void hang_up();
  void wait();

  void round();
  Outcome poll(Answer *answer);
  void schedule(Outcome outcome, const Answer &answer);
  void checked_in();
  Outcome offered(size_t size, Answer *answer);
  Decision decide(size_t size, Release *release, char *link, Reason *reason);
  Decision accept(const Release &release, const TrustedKeys *keys, Reason *reason);
  Outcome install(const Release &release, const char *link, Answer *answer);
  void refuse(const Release &release, Reason reason);
  void spoilt(const Release &release);
  void apply(bool waited);
  void retry();
  void activate();

  void confirm();
  void finish(const Release &release);
  void conclude();
  void end_trial(Reason reason);
  void go_back();
  void drop_candidate();
  void old_image_says(bool checked_in);
  void schedule_retry();

  void report(const Release &release, State state, Reason reason = Reason::none, uint8_t percent = 0);
  void tell(const Release &release, State state, Reason reason, uint8_t percent);
  Outcome send_reports();
  size_t compose(const Report &report, char *room, size_t size);
  void progress(uint8_t percent, bool report) override;
  bool stop() override { return changed_; }

  bool wants() const { return pending_ || has_candidate_ || download_.active(); }
  uint64_t now() { return m_.board.millis(); }

  Machine &m_;
  Sketch &sketch_;
  alignas(4) char room_[Client::kRoom];  // requests, answers, sectors: one after the other
  Client client_;
  Download download_;
  Reports reports_;

  bool provisioned_ = false;
  Dialogue *dialogue_ = nullptr;  // while the device was given nothing
  char *line_ = nullptr;

  uint8_t digest_[kDigest] = {};  // of the image that runs
  char running_[2 * kDigest + 1] = "";
  Release release_;  // that runs, as far as that is known
  int64_t decided_ = 0;

  Candidate candidate_;
  bool has_candidate_ = false;
  bool wanted_ = true;     // the server still wants the candidate, as far as we know
  bool tested_ = false;    // the self-test was passed
  bool complete_ = false;  // the download is; the restart waits for the sketch
  uint64_t began_ = 0;     // this start, or this trial
  uint64_t retry_at_ = 0;
  uint64_t ask_ready_at_ = 0;

  uint64_t poll_at_ = 0;
  uint32_t usual_ = kUsual;
  uint8_t failures_ = 0;
  uint8_t told_ = 255;  // percent
  bool was_pressed_ = false;
  bool failed_ = false;  // the last update
  int64_t spoilt_ = 0;   // the deployment whose bytes were wrong again and again
  uint64_t spoilt_until_ = 0;

  char versions_[2][kMaxText + 1] = {};
  std::atomic<const char *> version_{versions_[0]};
  std::atomic<bool> check_{false}, changed_{false}, pending_{false}, busy_{false}, cable_{true};
  std::atomic<uint32_t> checkins_{0};
};

// The one agent of this machine.
Agent &agent();

}  // namespace flota
