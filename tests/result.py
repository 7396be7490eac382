"""What a test gives: its name, passed, failed or skipped, and for the latter two the reason."""


class Result:
    def __init__(self, name, outcome, text=""):
        self.name, self.outcome, self.text = name, outcome, text


def passed(name):
    return Result(name, "passed")


def failed(name, text):
    return Result(name, "failed", text)


def skipped(name, reason):
    return Result(name, "skipped", reason)
