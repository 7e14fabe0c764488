"""An average over the last few values."""


class Average:
    def __init__(self, count):
        self.count = count
        self.values = []

    def add(self, value):
        """Takes a value, and gives the average with it."""
        self.values.append(value)
        if len(self.values) > self.count:
            self.values.pop(0)
        return sum(self.values) / len(self.values)
