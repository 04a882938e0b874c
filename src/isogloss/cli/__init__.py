"""The command line: one thin function per verb, each calling the public function of the same name."""
