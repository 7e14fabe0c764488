#pragma once
#include <ctype.h>

inline bool isAlphaNumeric(int c) { return isalnum(c); }
inline bool isAlpha(int c) { return isalpha(c); }
inline bool isAscii(int c) { return c >= 0 && c < 128; }
inline bool isWhitespace(int c) { return c == ' ' || c == '\t'; }
inline bool isControl(int c) { return iscntrl(c); }
inline bool isDigit(int c) { return isdigit(c); }
inline bool isGraph(int c) { return isgraph(c); }
inline bool isLowerCase(int c) { return islower(c); }
inline bool isPrintable(int c) { return isprint(c); }
inline bool isPunct(int c) { return ispunct(c); }
inline bool isSpace(int c) { return isspace(c); }
inline bool isUpperCase(int c) { return isupper(c); }
inline bool isHexadecimalDigit(int c) { return isxdigit(c); }
