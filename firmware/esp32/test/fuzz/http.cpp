// Heads of answers.
#include "http.h"

#include "fuzz/believing.h"

using namespace flota;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  AnswerHead head;
  AnswerHead::Result result = AnswerHead::Result::more;
  size_t i = 0;
  while (i < size && result == AnswerHead::Result::more) result = head.add(char(data[i++]));
  require(i <= 8193);
  if (result == AnswerHead::Result::bad && i < size) require(head.add(char(data[i])) == AnswerHead::Result::bad);
  if (result != AnswerHead::Result::done) return 0;
  require(data[i - 1] == '\n');
  const Answer &a = head.answer();
  require(a.status >= 200 && a.status <= 599 && a.length >= -1 && a.length <= kMaxNumber && a.clock >= -1);
  require(strlen(a.mac) < sizeof a.mac && strlen(a.range) < sizeof a.range && strlen(a.etag) < sizeof a.etag);
  return 0;
}
