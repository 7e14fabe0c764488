#include "agent.h"

#include <stdlib.h>

#include <new>

#include "json.h"
#include "statement.h"

namespace flota {

Agent::Agent(Machine &machine, Sketch &sketch)
    : m_(machine),
      sketch_(sketch),
      client_(machine, room_),
      download_(machine, client_, room_, *this),
      reports_(machine.storage) {}

Agent::~Agent() { hang_up(); }

void Agent::run() {
  begin();
  for (;;) step();
}

void Agent::begin() {
  began_ = now();
  poll_at_ = began_ + kGrace + m_.board.random() % (kGrace / 2);
  if (m_.slots.running(digest_)) hex(digest_, sizeof digest_, running_);
  load();
  start_trial();
}

// load takes up what is in the storage, which the cable may have changed.
void Agent::load() {
  changed_ = false;
  spoilt_ = 0;
  provisioned_ = client_.load();
  decided_ = get_number(m_.storage, key::decided);
  Release running;
  bool known = get_running(m_.storage, &running) && memcmp(running.sha256, digest_, kDigest) == 0;
  runs(known ? running : Release());
  download_.load();
  reports_.load();
  has_candidate_ = candidate_.load(m_.storage);
  complete_ = false;
  failures_ = 0;
  if (provisioned_) hang_up();
}

// hang_up gives the cable back to the sketch, and the memory of its lines.
void Agent::hang_up() {
  delete dialogue_;
  dialogue_ = nullptr;
  if (line_ != nullptr) wipe(line_, kMaxLine);
  free(line_);
  line_ = nullptr;
}

// runs notes what runs. Other tasks read the version at any time: the one that they
// may be reading is left alone.
void Agent::runs(const Release &release) {
  release_ = release;
  char *next = version_ == versions_[0] ? versions_[1] : versions_[0];
  copy(release.version, next, sizeof versions_[0]);
  version_ = next;
}

// start_trial does what is to be done about an image on trial, first thing after the start.
void Agent::start_trial() {
  bool pending = m_.slots.trial() == Trial::pending;
  bool runs_it = running_[0] != 0 ? memcmp(candidate_.release.sha256, digest_, kDigest) == 0 : pending;
  Start start = {pending, m_.slots.rolls_back(), runs_it, m_.board.reset()};
  Verdict verdict = at_start(start, has_candidate_ ? &candidate_ : nullptr);
  if (has_candidate_) candidate_.save(m_.storage);
  switch (verdict) {
    case Verdict::nothing:
      break;
    case Verdict::on_trial:
      pending_ = true;
      break;
    case Verdict::go_back:
      go_back();
      pending_ = true;  // there was nothing to go back to
      break;
    case Verdict::good:
      m_.slots.confirm();
      finish(candidate_.release);
      break;
    case Verdict::bad:
      conclude();
      break;
    case Verdict::later:
      schedule_retry();
      break;
    case Verdict::forget:
      drop_candidate();
      pending_ = true;
      break;
  }
}

void Agent::schedule_retry() {
  wanted_ = true;
  retry_at_ = now() + retry_after(candidate_, m_.board.random());
  // What slept has waited long enough, unless it is to let this wake-up pass.
  if (m_.board.reset() == Reset::sleep && candidate_.skips == 0) retry_at_ = now();
}

void Agent::step() {
  m_.board.feed();
  if (changed_) {
    load();
    poll_at_ = now();  // whoever holds the cable waits for it
  }
  if (pending_ && now() - began_ >= kTrial) end_trial(Reason::no_checkin);
  if (has_candidate_ && !pending_ && now() - began_ >= kTrial) old_image_says(false);
  busy_ = pending_ || download_.active();
  if (!provisioned_) {
    if (cable_) return listen();
    return wait();
  }
  bool pressed = m_.board.pressed();
  if (check_.exchange(false) || (pressed && !was_pressed_)) {
    poll_at_ = now();
    failures_ = 0;
  }
  was_pressed_ = pressed;

  if (complete_ && now() >= ask_ready_at_) {
    ask_ready_at_ = now() + kAskReady;
    if (sketch_.ready()) apply(true);
  }
  if (has_candidate_ && !pending_ && wanted_ && candidate_.stage == Candidate::Stage::waiting && now() >= retry_at_) {
    retry();
  }
  if (now() < poll_at_) return wait();
  if (m_.network.ready()) return round();
  m_.board.light(Light::offline);
  wait();
}

void Agent::wait() { m_.board.wait(kTick); }

// listen waits for the cable.
void Agent::listen() {
  if (line_ == nullptr) line_ = static_cast<char *>(malloc(kMaxLine));
  if (line_ != nullptr && dialogue_ == nullptr) dialogue_ = new (std::nothrow) Dialogue(m_, *this, line_);
  if (dialogue_ != nullptr) dialogue_->step();
  m_.board.wait(5);  // a receive buffer of 256 bytes is full after 22 ms
}

void Agent::round() {
  if (pending_ && !tested_) {
    if (!sketch_.works()) return end_trial(Reason::selftest);
    tested_ = true;
  }
  m_.board.light(Light::checking);
  Answer answer;
  Outcome o = poll(&answer);
  if (o == Outcome::forbidden && download_.active()) o = poll(&answer);  // for a fresh link, once
  schedule(o, answer);
  busy_ = pending_ || download_.active();
  if (o == Outcome::ok) checkins_++;
}

Outcome Agent::poll(Answer *answer) {
  char etag[24] = "\"";
  size_t length = 0;
  if (decided_ > 0 && !wants()) {
    length = 1 + decimal(decided_, etag + 1);
    etag[length++] = '"';
  }
  Outcome o = client_.ask("GET", kPathUpdate, running_, Text(etag, length), "", answer);
  if (changed_) return Outcome::outage;  // it was asked for somebody who this device is not any more
  if (o != Outcome::ok) return o;
  int64_t interval = number(answer->poll);
  usual_ = interval < 1 ? kUsual : interval < int64_t(kMaxWait / 1000) ? uint32_t(interval) * 1000 : kMaxWait;
  size_t size = answer->status == 200 ? size_t(answer->length) : 0;
  // What a check-in means is written to the storage only, so the body stays where it is.
  checked_in();
  wanted_ = false;  // unless it is what is offered
  if (size > 0) {
    o = offered(size, answer);
    if (o != Outcome::ok) return o;
  } else {
    complete_ = false;
    if (download_.active()) download_.drop();
  }
  send_reports();
  return Outcome::ok;
}

// schedule sets when to poll next.
void Agent::schedule(Outcome outcome, const Answer &answer) {
  uint32_t random = m_.board.random(), wait = 0;
  if (download_.advanced()) failures_ = 0;
  if (outcome != Outcome::outage) failures_ = 0;
  switch (outcome) {
    case Outcome::ok:
    case Outcome::wrong:
    case Outcome::forbidden:
      wait = after_poll(usual_, random);
      break;
    case Outcome::unknown:
      wait = kMaxWait;
      break;
    case Outcome::later:
      wait = answer.retry_after < 0                          ? kLater
             : answer.retry_after > int64_t(kMaxWait / 1000) ? kMaxWait
                                                             : uint32_t(answer.retry_after) * 1000;
      break;
    case Outcome::outage:
      wait = back_off(failures_, random);
      if (failures_ < UINT8_MAX) failures_++;
      break;
  }
  // On trial time is short, and what is not proved to be the server's own must not use it up.
  if (pending_ && wait > kPendingWait) wait = kPendingWait;
  m_.board.light(outcome != Outcome::ok ? Light::offline : failed_ ? Light::failed : Light::idle);
  poll_at_ = now() + wait;
}

// checked_in is what an answer that is the server's own means for the image that runs.
void Agent::checked_in() {
  if (pending_) {
    confirm();
  } else if (has_candidate_) {
    old_image_says(true);
  }
}

void Agent::old_image_says(bool checked_in) {
  switch (old_image(checked_in, &candidate_)) {
    case Verdict::bad:
      conclude();
      break;
    case Verdict::later:
      candidate_.save(m_.storage);
      schedule_retry();
      break;
    default:
      break;
  }
}

Outcome Agent::offered(size_t size, Answer *answer) {
  Release release;
  char link[kMaxPath];
  Reason reason = Reason::none;
  switch (decide(size, &release, link, &reason)) {
    case Decision::install:
      return install(release, link, answer);
    case Decision::refuse:
      refuse(release, reason);
      return Outcome::ok;
    case Decision::broken:
      return Outcome::outage;
    default:
      return Outcome::ok;
  }
}

// decide checks an offer and accepts it, or tells why not. The answer is in room_, which
// is free afterwards.
Agent::Decision Agent::decide(size_t size, Release *release, char *link, Reason *reason) {
  Offer offer;
  *reason = Reason::format;
  if (!parse_offer(room_, size, &offer)) return Decision::refuse;
  copy(offer.link, link, kMaxPath);
  Identity identity;
  if (!identity.load(m_.storage)) return Decision::broken;
  Knowledge knowledge;
  knowledge.workspace = identity.workspace;
  knowledge.device = identity.device;
  knowledge.board = identity.board;
  knowledge.groups = identity.groups;
  knowledge.groups_size = strlen(identity.groups);
  knowledge.keys = &identity.keys;
  knowledge.accepted = get_number(m_.storage, key::accepted);
  knowledge.security_version = get_number(m_.storage, key::secversion);
  knowledge.room.slot = m_.slots.size();
  Statement s;
  m_.board.feed();
  *reason = flota::check(m_.crypto, offer, knowledge, &s);
  m_.board.feed();
  release->deployment = s.deployment;
  printable(s.version, release->version, sizeof release->version);
  if (s.deployment > 0 && s.deployment == decided_) return Decision::ignore;
  if (*reason != Reason::none) return Decision::refuse;
  release->security_version = s.security_version;
  release->size = uint32_t(s.parts[0].size);
  memcpy(release->sha256, s.parts[0].sha256, kDigest);
  return accept(*release, s.new_keys ? &s.keys : nullptr, reason);
}

Agent::Decision Agent::accept(const Release &release, const TrustedKeys *keys, Reason *reason) {
  if (pending_) return Decision::broken;  // the slots are not to be touched
  if (has_candidate_ && candidate_.release.deployment == release.deployment && candidate_.release.same_image(release)) {
    wanted_ = true;
    return Decision::ignore;  // it waits for its next trial
  }
  if (release.deployment == spoilt_ && now() < spoilt_until_) return Decision::ignore;
  bool known = download_.active() && download_.release().deployment == release.deployment;
  if (known && complete_) return Decision::ignore;  // it waits for the sketch
  bool runs = memcmp(release.sha256, digest_, kDigest) == 0;
  if (!known && !runs && !sketch_.accepts({State::downloading, 0, release.version, Reason::none, release.size})) {
    *reason = Reason::vetoed;
    return Decision::refuse;
  }
  if (keys != nullptr && !put_keys(m_.storage, *keys)) return Decision::broken;
  if (get_number(m_.storage, key::accepted) != release.deployment &&
      !put_number(m_.storage, key::accepted, release.deployment)) {
    return Decision::broken;
  }
  return Decision::install;
}

// refuse decides a deployment that is not installed.
void Agent::refuse(const Release &release, Reason reason) {
  report(release, State::failed, reason);
  failed_ = true;
  if (release.deployment == 0) return;
  decided_ = release.deployment;
  put_number(m_.storage, key::decided, decided_);
  if (has_candidate_ && candidate_.release.deployment == release.deployment) drop_candidate();
  // What was on its way before is not wanted any more.
  if (download_.active()) download_.drop();
  complete_ = false;
}

// spoilt leaves a deployment alone for a while. It decides nothing: whoever is on the way can
// spoil bytes, and must not be able to end a deployment.
void Agent::spoilt(const Release &release) {
  report(release, State::failed, Reason::digest);
  failed_ = true;
  download_.drop();
  spoilt_ = release.deployment;
  spoilt_until_ = now() + kMaxWait;
}

Outcome Agent::install(const Release &release, const char *link, Answer *answer) {
  complete_ = failed_ = false;
  if (has_candidate_) drop_candidate();  // something else is wanted now
  if (memcmp(release.sha256, digest_, kDigest) == 0) {
    finish(release);
    return Outcome::ok;
  }
  m_.board.light(Light::downloading);
  if (!download_.begin(release)) return Outcome::outage;
  for (Reason reason;;) {
    Outcome o = download_.fetch(link, answer, &reason);
    if (o != Outcome::ok) return o;
    if (changed_) return Outcome::outage;
    if (reason == Reason::none) reason = download_.check();
    if (reason == Reason::none) break;
    if (!download_.again()) {
      if (reason == Reason::digest) {
        spoilt(release);
      } else {
        refuse(release, reason);
      }
      return Outcome::ok;
    }
  }
  if (!m_.slots.acceptable(release.size)) {
    refuse(release, Reason::format);
    return Outcome::ok;
  }
  report(release, State::verified);
  send_reports();
  complete_ = true;
  ask_ready_at_ = now() + kAskReady;
  if (sketch_.ready()) apply(false);
  return Outcome::ok;
}

// apply restarts into what was downloaded. It returns only when the flash fails, or holds
// something else after it waited for the sketch, which may write updates of its own.
void Agent::apply(bool waited) {
  complete_ = false;
  if (waited && download_.check(true) != Reason::none) {
    download_.drop();
    poll_at_ = now();
    return;
  }
  candidate_ = Candidate();
  candidate_.release = download_.release();
  has_candidate_ = true;
  activate();
}

// retry restarts into an image that had a trial before, when it is still there.
void Agent::retry() {
  if (!sketch_.ready()) {
    retry_at_ = now() + kAskReady;
    return;
  }
  if (holds(m_, reinterpret_cast<uint8_t *>(room_), sizeof room_, candidate_.release) != Reason::none) {
    return drop_candidate();  // the server offers it again
  }
  activate();
}

void Agent::activate() {
  if (changed_) return;
  m_.board.light(Light::installing);
  Release release = candidate_.release;
  bool first = candidate_.tries == 0 && candidate_.losses == 0;
  candidate_.stage = Candidate::Stage::applying;
  candidate_.cause = Reason::none;
  candidate_.starts = 0;
  if (!candidate_.save(m_.storage) || !m_.slots.activate()) return refuse(release, Reason::storage);
  candidate_.stage = Candidate::Stage::activated;
  candidate_.save(m_.storage);
  download_.drop();
  if (first) {
    report(release, State::applied);
    send_reports();
  }
  m_.board.restart();
}

// confirm is the check-in of an image on trial.
void Agent::confirm() {
  if (has_candidate_) {
    candidate_.stage = Candidate::Stage::checked_in;
    candidate_.save(m_.storage);
  }
  // The next check-in says so again, as long as the bootloader would take it away.
  if (!m_.slots.confirm() && m_.slots.trial() == Trial::pending) return;
  pending_ = false;
  if (has_candidate_) finish(candidate_.release);
}

// finish decides a deployment that runs. It may be cut short and done again.
void Agent::finish(const Release &release) {
  decided_ = release.deployment;
  put_number(m_.storage, key::decided, decided_);
  if (release.security_version > get_number(m_.storage, key::secversion)) {
    put_number(m_.storage, key::secversion, release.security_version);
  }
  runs(release);
  put_running(m_.storage, release_);
  report(release_, State::confirmed);
  if (has_candidate_) drop_candidate();
  if (download_.active()) download_.drop();
}

// conclude decides that the candidate is bad, for its cause. It may be cut short and done again.
void Agent::conclude() {
  report(candidate_.release, State::rolled_back, candidate_.cause);
  decided_ = candidate_.release.deployment;
  put_number(m_.storage, key::decided, decided_);
  drop_candidate();
  failed_ = true;
}

// end_trial gives the image that runs up.
void Agent::end_trial(Reason reason) {
  if (has_candidate_) {
    candidate_.cause = reason;
    candidate_.save(m_.storage);
  }
  go_back();
  // There is nothing to go back to: it goes on trying, self-test or not.
  tested_ = true;
  if (has_candidate_) {
    candidate_.cause = Reason::none;
    candidate_.save(m_.storage);
  }
  began_ = now();
  poll_at_ = now() + kLater;
}

void Agent::go_back() {
  if (m_.slots.revert()) m_.board.restart();
}

void Agent::drop_candidate() {
  has_candidate_ = false;
  m_.storage.erase(key::trial);
}

void Agent::report(const Release &release, State state, Reason reason, uint8_t percent) {
  reports_.add({release.deployment, state, reason, percent});
  tell(release, state, reason, percent);
}

void Agent::tell(const Release &release, State state, Reason reason, uint8_t percent) {
  sketch_.update({state, state == State::downloading ? percent : uint8_t(100), release.version, reason, release.size});
}

void Agent::progress(uint8_t percent, bool says) {
  if (says) {
    reports_.add({download_.release().deployment, State::downloading, Reason::none, percent});
    send_reports();
  }
  if (percent != told_) tell(download_.release(), State::downloading, Reason::none, percent);
  told_ = percent;
}

// send_reports sends what is kept, the oldest first, as far as it is taken.
Outcome Agent::send_reports() {
  while (!reports_.empty()) {
    char body[768];
    Answer answer;
    size_t size = compose(reports_.first(), body, sizeof body);
    Outcome o = client_.ask("POST", kPathReport, running_, "", Text(body, size), &answer);
    if (changed_) return Outcome::outage;
    if (o != Outcome::ok && answer.status != 400 && answer.status != 413) return o;
    reports_.drop_first();
  }
  return Outcome::ok;
}

size_t Agent::compose(const Report &report, char *room, size_t size) {
  char chip[kMaxText + 1];
  printable(m_.board.chip(), chip, sizeof chip);
  JsonObject object(room, size);
  object.add("deployment", report.deployment).add("state", word(report.state));
  if (report.state == State::downloading) object.add("percent", int64_t(report.percent));
  if (report.reason != Reason::none) object.add("reason", word(report.reason));
  if (running_[0] != 0) object.add("running", running_);
  if (release_.version[0] != 0) object.add("version", release_.version);
  object.add("chip", chip).add("slot_size", int64_t(m_.slots.size())).add("free_heap", int64_t(m_.board.free_heap()));
  int rssi = m_.board.rssi();
  if (rssi < 0 && rssi >= -200) object.add("rssi", int64_t(rssi));
  object.add("rollback", m_.slots.rollback()).add("agent", kAgent);
  return object.finish();
}

ServerStatus Agent::status() {
  ServerStatus status;
  status.server = provisioned_ && !changed_ ? client_.server() : "none";
  status.deployment = release_.deployment;
  copy(version_.load(), status.version, sizeof status.version);
  return status;
}

}  // namespace flota
