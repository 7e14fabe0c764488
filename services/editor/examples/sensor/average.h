#pragma once

// Average is the mean of the last N values.
template <int N>
class Average {
 public:
  void add(int value) {
    sum_ += value - values_[next_];
    values_[next_] = value;
    next_ = (next_ + 1) % N;
    if (count_ < N) count_++;
  }

  float value() const { return count_ == 0 ? 0 : float(sum_) / count_; }

 private:
  int values_[N] = {};
  int next_ = 0;
  int count_ = 0;
  long sum_ = 0;
};
