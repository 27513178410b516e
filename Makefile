# A thin front for Meson. `make run ARGS='--port-base 20000'` passes options on.
BUILD = build

all: $(BUILD)/build.ninja
	ninja -C $(BUILD) pennypost
$(BUILD)/build.ninja:
	meson setup $(BUILD)
run:
	tools/setup.sh run
	$(MAKE) all
	exec $(BUILD)/pennypost lab $(ARGS)
test:
	tools/setup.sh test
	/usr/bin/python3 tools/test.py $(ARGS)
bench: all
	tools/setup.sh bench
	bench/compare --build $(BUILD) $(ARGS)
crash: all
	tools/setup.sh test
	/usr/bin/python3 tests/crash/run.py --seconds $(or $(SECONDS),300) $(ARGS)
kill: all
	tools/setup.sh test
	/usr/bin/python3 tests/crash/killmail.py --deliveries $(or $(DELIVERIES),10000) $(ARGS)
fuzz:
	tools/setup.sh test
	/usr/bin/python3 tools/test.py fuzz --seconds $(or $(SECONDS),60)
install: all
	meson install -C $(BUILD) --no-rebuild
clean:
	rm -rf $(BUILD) $(BUILD)-*
.PHONY: all run test bench crash kill fuzz install clean
