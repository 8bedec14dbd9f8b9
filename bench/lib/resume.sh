# shellcheck shell=bash
# resume: a run of 10,000 steps, 20 of which have written 5,000 undo records each, is lost
# while its last step is under way; how long until resume has started that step again.

# resume_step: notes when it is applied, and the first time does not end.
resume_step() {
	cat >step <<'EOS'
#!/bin/bash
cd "$(dirname "$0")" || exit 1
if [[ $1 == probe ]]; then
	if [[ -e done ]]; then n=0; else n=1; fi
	echo "{\"changes\":$n,\"total\":1,\"now\":\"\",\"fingerprint\":\"$n\"}"
else
	date +%s%N >>applied
	[[ ! -e slow ]] || exec sleep 1000
	touch done
fi
EOS
	chmod 755 step
}

# resume_plan STEPS WRITERS
resume_plan() {
	local i
	"$tools/graphgen" layered "$1" $seed plan 'does = "noop.probed";' | sed 's/ ); }; };$//'
	for ((i = 1; i <= $2; i++)); do
		echo ", { name = \"u$i\"; does = \"bad.large-undo\"; after = [\"s$(($1 - 1))\"]; }"
	done
	printf ', { name = "last"; does = "exec.run"; after = ["s0"'
	for ((i = 1; i <= $2; i++)); do printf ', "u%s"' $i; done
	echo "]; with = { probe = [\"$PWD/step\", \"probe\"]; apply = [\"$PWD/step\"]; }; } ); }; };"
}

# lose_run: until its last step is under way, then it is killed
lose_run() {
	local pid tries
	touch slow
	rm -rf lost done applied
	"$resite" run --state lost -q resume.conf g >out 2>&1 </dev/null &
	pid=$!
	for ((tries = 0; tries < 1200; tries++)); do
		[[ ! -e applied ]] || break
		sleep 0.1
	done
	kill -KILL $pid
	wait $pid 2>/dev/null || true
	[[ -e applied ]] || die "the run to be lost did not come to its last step: $(tail -n 3 out)"
	sleep 3 # its workers' grace time: what resume would wait for
	rm slow
}

before_resume() {
	rm -rf state done applied
	cp -r lost state
}
resume() {
	local began
	began=$(date +%s%N)
	"$resite" resume --state state -q >out 2>&1 </dev/null || die "resume ended with status $?: $(tail -n 3 out)"
	took=$(seconds $((($(<applied) - began) / 1000)))
}

row_resume() {
	local steps writers
	steps=$(small 10000) writers=$(small 20)
	make -s -C "$build" tests/bad/bad.la >/dev/null || die "make failed in $build"
	resume_step
	resume_plan "$steps" "$writers" >resume.conf
	lose_run
	turns resume=resume
	note "$(journal lost "SELECT count(*) || ' events, ' || (sum(length(body)) / 1000000) || ' MB, ' ||
		sum(json_extract(body, '\$.n')) || ' undo records' FROM e") in the journal; $steps steps"
	goal "the lost step is applied again in a second" "<=" 1.0 resume
}
