// std::function without the rest of <functional>, which costs every sketch that includes
// it a good part of a second.
#pragma once
#include <bits/std_function.h>

#include <new>
