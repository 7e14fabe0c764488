#include "http.h"

#include <doctest/doctest.h>

#include <string>

#include "settings.h"

using namespace flota;

namespace {

AnswerHead::Result parse(const std::string &text, Answer *answer = nullptr) {
  AnswerHead head;
  AnswerHead::Result result = AnswerHead::Result::more;
  for (size_t i = 0; i < text.size() && result == AnswerHead::Result::more; i++) {
    result = head.add(text[i]);
    if (result == AnswerHead::Result::done) CHECK(i + 1 == text.size());
  }
  if (answer != nullptr) *answer = head.answer();
  return result;
}

constexpr auto done = AnswerHead::Result::done, bad = AnswerHead::Result::bad, more = AnswerHead::Result::more;

}  // namespace

TEST_CASE("the head of an answer") {
  Answer a;
  CHECK(
      parse(
          "HTTP/1.1 206 Partial Content\r\nContent-Length: 12\r\nCONTENT-RANGE:\tbytes 4-15/16 \r\nX-Flota-Poll: 60\r\n"
          "etag: \"7\"\r\nX-Flota-Clock: 1800000000\r\nretry-after: 5\r\nX-Other: a:b\r\nEmpty:\r\n\r\n",
          &a) == done);
  CHECK(a.status == 206);
  CHECK(a.length == 12);
  CHECK(std::string(a.range) == "bytes 4-15/16");
  CHECK(std::string(a.poll) == "60");
  CHECK(std::string(a.etag) == "\"7\"");
  CHECK(a.clock == 1800000000);
  CHECK(a.retry_after == 5);
  CHECK(parse("HTTP/1.0 204\n\n", &a) == done);
  CHECK(a.length == -1);
  CHECK(parse("HTTP/1.1 503 X\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n\r\n", &a) == done);
  CHECK(a.retry_after == -1);
  CHECK(parse("HTTP/1.1 200 X\r\nX-Long: " + std::string(5000, 'x') + "\r\n\r\n") == done);
  CHECK(parse("HTTP/1.1 200 X\r\nETag: \"" + std::string(64, 'a') + "\"\r\n\r\n", &a) == done);  // an image's
  CHECK(std::string(a.etag).empty());
}

TEST_CASE("heads that are refused") {
  for (std::string text : {"HTTP/2 200 X\r\n",
                           "HTTP/1.2 200 X\r\n",
                           "HTTP/1.1  200 X\r\n",
                           "HTTP/1.1 20 X\r\n",
                           "HTTP/1.1 2000 X\r\n",
                           "HTTP/1.1 100 Continue\r\n",
                           "HTTP/1.1 600 X\r\n",
                           "HTTP/1.1 2x0 X\r\n",
                           "http/1.1 200 X\r\n",
                           "\r\n",
                           "<html>\n",
                           "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n",
                           "HTTP/1.1 200 X\r\ntransfer-encoding: identity\r\n",
                           "HTTP/1.1 200 X\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
                           "HTTP/1.1 200 X\r\nContent-Length: 5\r\ncontent-length: 5\r\n",
                           "HTTP/1.1 200 X\r\nContent-Length: -1\r\n",
                           "HTTP/1.1 200 X\r\nContent-Length: 5, 5\r\n",
                           "HTTP/1.1 200 X\r\nContent-Length: \r\n",
                           "HTTP/1.1 200 X\r\nContent-Length: 99999999999999999999\r\n",
                           "HTTP/1.1 200 X\r\nContent-Length : 5\r\n",
                           "HTTP/1.1 200 X\r\n: 5\r\n",
                           "HTTP/1.1 200 X\r\nno colon\r\n",
                           "HTTP/1.1 200 X\r\n folded: 5\r\n",
                           "HTTP/1.1 200 X\r\nX-Flota-Mac: a\r\nX-Flota-Mac: b\r\n",
                           "HTTP/1.1 200 X\r\nX-Flota-Poll: 60\r\nX-Flota-Poll: 60\r\n",
                           "HTTP/1.1 200 X\r\nX-Flota-Poll: 1234567890123\r\n"}) {
    CAPTURE(text);
    CHECK(parse(text + "\r\n") == bad);
  }
  CHECK(parse("HTTP/1.1 200 X\r\nX-Flota-Mac: " + std::string(300, 'a') + "\r\n\r\n") == bad);
  CHECK(parse("HTTP/1.1 200 X\r\n" + std::string(300, 'a') + ": x\r\n\r\n") == bad);
  CHECK(parse("HTTP/1.1 200 X\r\nA: " + std::string(9000, 'a') + "\r\n\r\n") == bad);
  CHECK(parse(std::string(9000, 'a')) == bad);
  CHECK(parse("HTTP/1.1 200 X\r\nA: b\r\n") == more);
  CHECK(parse(std::string("HTTP/1.1 200 X\r\nETag: \"\0\"\r\n\r\n", 29)) == bad);
}

TEST_CASE("origins") {
  Origin o;
  CHECK(parse_origin("http://flota.local:8081", &o));
  CHECK(o.host == "flota.local");
  CHECK(o.authority == "flota.local:8081");
  CHECK(o.port == 8081);
  CHECK_FALSE(o.tls);
  CHECK(parse_origin("https://flota.local", &o));
  CHECK(o.tls);
  CHECK(o.port == 443);
  CHECK(parse_origin("http://[fe80::1]:80", &o));
  CHECK(o.host == "fe80::1");
  CHECK(o.authority == "[fe80::1]:80");
  for (const char *text : {"",
                           "flota.local",
                           "ftp://a",
                           "HTTP://a",
                           "http://",
                           "http://:80",
                           "http://a:",
                           "http://a:0",
                           "http://a:65536",
                           "http://a:8x",
                           "http://a/",
                           "http://a?b",
                           "http://a#b",
                           "http://u@a",
                           "http://a b",
                           "http://[]",
                           "http://[fe80::1",
                           "http://[g::1]",
                           "http://a\r\nX: y",
                           "http://a:80:80",
                           "http://[::1]x"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_origin(text, &o));
  }
}
