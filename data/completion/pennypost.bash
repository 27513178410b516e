# bash completion for pennypost(1); made by `pennypost completion bash`
_pennypost() {
	local words cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	# --option=value comes as three words.
	if [ "$cur" = = ]; then cur=
	elif [ "$prev" = = ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
	case "${COMP_WORDS[1]} $prev" in
	"lab --dir"|"status --dir"|"reload --dir"|"tls --dir"|"user --dir"|"domain --dir"|"alias --dir"|"mailbox --to"|"mailbox --dir"|"queue --dir"|"trace --dir"|"fsck --dir"|"backup --dir"|"restore --dir"|"fault --dir")
		COMPREPLY=($(compgen -d -- "$cur"))
		return ;;
	"lab --port-base"|"lab --hostname"|"lab --domain"|"lab --user"|"lab --user-plain"|"lab --dialect"|"lab --set"|"lab --dns"|"serve --set"|"user --password-fd"|"user --hash"|"user --domain"|"mailbox --special"|"mailbox --mailbox"|"mailbox --max-size"|"mailbox --before"|"queue --from"|"queue --to"|"queue --domain"|"queue --older"|"queue --newer"|"queue --limit"|"queue --reason"|"queue --interval"|"queue --count"|"trace --from"|"trace --to"|"trace --peer"|"trace --message-id"|"trace --since"|"trace --until"|"trace --limit"|"trace --attempt"|"dialect --set"|"dialect --name"|"dialect --session"|"talk --lint"|"talk --bind"|"talk --port"|"talk --proto"|"talk --timeout"|"talk --resolve"|"talk --dns"|"talk --source-ehlo"|"talk --profile"|"talk --tls"|"talk --tls-min"|"talk --tls-max"|"talk --ca"|"talk --sni"|"talk --verify-name"|"talk --cert"|"talk --key"|"talk --pin"|"talk --sts-port"|"talk --ciphers"|"talk --keylog"|"talk --hello"|"talk --ehlo"|"talk --user"|"talk --authzid"|"talk --password-file"|"talk --password-fd"|"talk --token-cmd"|"talk --eol"|"talk --segments"|"talk --delay"|"talk --color"|"talk --theme"|"talk --labels"|"talk --explain"|"talk --transcript"|"talk --format"|"talk --record"|"send --bind"|"send --port"|"send --proto"|"send --timeout"|"send --resolve"|"send --dns"|"send --source-ehlo"|"send --profile"|"send --tls"|"send --tls-min"|"send --tls-max"|"send --ca"|"send --sni"|"send --verify-name"|"send --cert"|"send --key"|"send --pin"|"send --sts-port"|"send --ciphers"|"send --keylog"|"send --hello"|"send --ehlo"|"send --user"|"send --authzid"|"send --password-file"|"send --password-fd"|"send --token-cmd"|"send --from"|"send --to"|"send --body"|"send --dsn"|"send --by"|"send --priority"|"send --hold"|"send --max-rcpt"|"send --mail-param"|"send --rcpt-param"|"send --xclient"|"send --subject"|"send --header"|"send --text"|"send --text-file"|"send --html"|"send --attach"|"send --data"|"send --lint"|"send --eol"|"send --segments"|"send --delay"|"send --color"|"send --theme"|"send --labels"|"send --explain"|"send --transcript"|"send --format"|"send --quit-after"|"send --drop-after"|"send --repeat"|"check --user"|"check --password-fd"|"check --token-cmd"|"check --from"|"check --to"|"check --verify-name"|"check --ehlo"|"check --resolve"|"check --timeout"|"probe --server"|"probe --from"|"probe --parallel"|"probe --delay"|"probe --retry-wait"|"probe --dns"|"probe --resolve"|"probe --port"|"probe --ehlo"|"probe --timeout"|"mx --dns"|"mx --resolve"|"mx --timeout"|"mx --sts-port"|"merge --to-column"|"merge --separator"|"merge --server"|"merge --from"|"merge --user"|"merge --timeout"|"roundtrip --read"|"roundtrip --read-password-file"|"roundtrip --read-password-fd"|"roundtrip --wait"|"roundtrip --repeat"|"roundtrip --bind"|"roundtrip --port"|"roundtrip --proto"|"roundtrip --timeout"|"roundtrip --resolve"|"roundtrip --dns"|"roundtrip --source-ehlo"|"roundtrip --profile"|"roundtrip --tls"|"roundtrip --tls-min"|"roundtrip --tls-max"|"roundtrip --ca"|"roundtrip --sni"|"roundtrip --verify-name"|"roundtrip --cert"|"roundtrip --key"|"roundtrip --pin"|"roundtrip --sts-port"|"roundtrip --ciphers"|"roundtrip --keylog"|"roundtrip --hello"|"roundtrip --ehlo"|"roundtrip --user"|"roundtrip --authzid"|"roundtrip --password-file"|"roundtrip --password-fd"|"roundtrip --token-cmd"|"roundtrip --from"|"roundtrip --to"|"roundtrip --body"|"roundtrip --dsn"|"roundtrip --by"|"roundtrip --priority"|"roundtrip --hold"|"roundtrip --max-rcpt"|"roundtrip --mail-param"|"roundtrip --rcpt-param"|"roundtrip --xclient"|"roundtrip --color"|"roundtrip --theme"|"roundtrip --labels"|"roundtrip --explain"|"roundtrip --transcript"|"roundtrip --format"|"run --to"|"run --var"|"run --jobs"|"run -j"|"run --timeout"|"run --verify-name"|"run --sni"|"replay --to"|"replay --session"|"replay --user"|"replay --password-fd"|"replay --timeout"|"replay --verify-name"|"replay --sni"|"explain --proto"|"b64 --authzid"|"b64 --password-file"|"b64 --password-fd"|"cert --warn-days"|"cert --bind"|"cert --port"|"cert --proto"|"cert --timeout"|"cert --resolve"|"cert --dns"|"cert --source-ehlo"|"cert --profile"|"cert --tls"|"cert --tls-min"|"cert --tls-max"|"cert --ca"|"cert --sni"|"cert --verify-name"|"cert --cert"|"cert --key"|"cert --pin"|"cert --sts-port"|"cert --ciphers"|"cert --keylog"|"cert --hello"|"cert --ehlo"|"cert --color"|"cert --theme"|"cert --labels"|"cert --explain"|"cert --transcript"|"cert --format")
		COMPREPLY=()
		return ;;
	"serve --config"|"config --config"|"status --config"|"reload --config"|"tls --config"|"user --config"|"domain --config"|"alias --file"|"alias --config"|"mailbox --config"|"queue --config"|"trace --config"|"fsck --config"|"backup --config"|"restore --config"|"fault --config"|"check --password-file"|"check --ca"|"mx --ca"|"merge --data"|"merge --password-file"|"merge --ca"|"run --junit"|"run --ca"|"run --cert"|"run --key"|"replay --password-file"|"replay --ca"|"replay --cert"|"replay --key")
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	"mailbox --format")
		COMPREPLY=($(compgen -W "mbox maildir" -- "$cur"))
		return ;;
	"queue --error")
		COMPREPLY=($(compgen -W "name connect tls login greeting sender rcpt letter closed policy damaged" -- "$cur"))
		return ;;
	"queue --state")
		COMPREPLY=($(compgen -W "ready waiting active held later turn damaged" -- "$cur"))
		return ;;
	"trace --format")
		COMPREPLY=($(compgen -W "conv" -- "$cur"))
		return ;;
	"check --tls"|"merge --tls")
		COMPREPLY=($(compgen -W "may must never implicit" -- "$cur"))
		return ;;
	"check --hello")
		COMPREPLY=($(compgen -W "auto ehlo helo lhlo none" -- "$cur"))
		return ;;
	"probe --method")
		COMPREPLY=($(compgen -W "rcpt vrfy expn" -- "$cur"))
		return ;;
	"probe --tls")
		COMPREPLY=($(compgen -W "may must never" -- "$cur"))
		return ;;
	"replay --diff")
		COMPREPLY=($(compgen -W "code enhanced text" -- "$cur"))
		return ;;
	"replay --convert")
		COMPREPLY=($(compgen -W "conv telnet json html" -- "$cur"))
		return ;;
	esac
	if [ "$COMP_CWORD" -eq 1 ]; then
		words="lab serve config status reload tls user domain alias mailbox queue trace fsck backup restore fault dialect talk send check probe mx merge roundtrip run replay explain b64 cert completion help --help --version"
	else
		case ${COMP_WORDS[1]} in
		lab) words="--dir --port-base --hostname --domain --user --user-plain --dialect --set --dns --help" ;;
		serve) words="--config --set --help" ;;
		config) words="check show keys --all --mdoc --json --config --help" ;;
		status) words="--json --config --dir --help" ;;
		reload) words="--config --dir --help" ;;
		tls) words="list make reload --force --json --config --dir --help" ;;
		user) words="add passwd import list quota remove --password-fd --password-stdin --recoverable --hash --domain --dry-run --yes --json --config --dir --help" ;;
		domain) words="add list remove --json --config --dir --help" ;;
		alias) words="add list remove --file --json --config --dir --help" ;;
		mailbox) words="list show read import export delete create rename subscribe unsubscribe --special --mailbox --format --create --recursive --max-size --again --dry-run --to --all --before --yes --json --config --dir --help" ;;
		queue) words="list show why retry hold release bounce delete flush fetch top --from --to --domain --older --newer --error --state --all --limit --reason --yes --interval --count --json --config --dir --help" ;;
		trace) words="--from --to --peer --message-id --since --until --limit --all --follow --json --format --attempt --config --dir --help" ;;
		fsck) words="--rebuild-index --json --config --dir --help" ;;
		backup) words="--verify --json --config --dir --help" ;;
		restore) words="--force --json --config --dir --help" ;;
		fault) words="--config --dir --help" ;;
		dialect) words="list show check learn --all --set --name --session --json --help" ;;
		talk) words="--pipeline --temp-exit --lint -4 -6 --bind --port --proto --timeout --mx --resolve --dns --source-ehlo --proxy-v1 --proxy-v2 --profile --tls --starttls --tls-min --tls-max --ca --insecure --sni --verify-name --cert --key --show-certs --pin --dane --mta-sts --sts-port --ciphers --keylog --hello --ehlo --auth --user --authzid --password-file --password-fd --token-cmd --force-auth --no-initial-response --allow-cleartext --eol --segments --delay --telnet-neg --raw --debug-bytes --color --theme --labels --quiet --verbose --explain --timing --json --transcript --format --show-secrets --decode-auth --strict-typing --print-manual --record -connect -starttls -showcerts -servername --help" ;;
		send) words="-4 -6 --bind --port --proto --timeout --mx --resolve --dns --source-ehlo --proxy-v1 --proxy-v2 --profile --tls --starttls --tls-min --tls-max --ca --insecure --sni --verify-name --cert --key --show-certs --pin --dane --mta-sts --sts-port --ciphers --keylog --hello --ehlo --auth --user --authzid --password-file --password-fd --token-cmd --force-auth --no-initial-response --allow-cleartext --from --to --null-sender --size --no-size --body --smtputf8 --verp --dsn --by --priority --hold --requiretls --pipeline --chunking --max-rcpt --mail-param --rcpt-param --xclient --subject --header --text --text-file --html --attach --eicar --gtube --data --lint --no-date --no-message-id --eol --segments --delay --telnet-neg --raw --debug-bytes --color --theme --labels --quiet --verbose --explain --timing --json --transcript --format --show-secrets --decode-auth --quit-after --drop-after --repeat --temp-exit --help" ;;
		check) words="--user --password-file --password-fd --token-cmd --from --to --relay-test --tls --ca --verify-name --insecure --dane --mta-sts --hello --ehlo -4 -6 --resolve --timeout --verbose --json --help" ;;
		probe) words="--server --from --catchall-test --method --parallel --delay --retry --retry-wait --temp-exit --dns --resolve --port -4 -6 --tls --dane --mta-sts --ehlo --timeout --verbose --json --help" ;;
		mx) words="--dns --resolve -4 -6 --timeout --ca --sts-port --json --help" ;;
		merge) words="--data --to-column --separator --brackets --single --dry-run --server --from --null-sender --user --password-file --tls --ca --timeout --verbose --quiet --json --help" ;;
		roundtrip) words="--read --read-password-file --read-password-fd --wait --keep --delete --repeat -4 -6 --bind --port --proto --timeout --mx --resolve --dns --source-ehlo --proxy-v1 --proxy-v2 --profile --tls --starttls --tls-min --tls-max --ca --insecure --sni --verify-name --cert --key --show-certs --pin --dane --mta-sts --sts-port --ciphers --keylog --hello --ehlo --auth --user --authzid --password-file --password-fd --token-cmd --force-auth --no-initial-response --allow-cleartext --from --to --null-sender --size --no-size --body --smtputf8 --verp --dsn --by --priority --hold --requiretls --pipeline --chunking --max-rcpt --mail-param --rcpt-param --xclient --color --theme --labels --quiet --verbose --explain --timing --json --transcript --format --show-secrets --decode-auth --help" ;;
		run) words="--to --var --env --jobs -j --timeout --verbose -v --keep --list --json --junit --ca --verify-name --sni --cert --key --help" ;;
		replay) words="--diff --to --session --convert --user --password-file --password-fd --timeout --implicit --ca --verify-name --sni --cert --key --help" ;;
		explain) words="--short --all --list --proto --json --help" ;;
		b64) words="enc dec plain login cram --raw --show-secrets --authzid --password-file --password-fd --help" ;;
		cert) words="--all-versions --all-ciphers --pem --warn-days -4 -6 --bind --port --proto --timeout --mx --resolve --dns --source-ehlo --proxy-v1 --proxy-v2 --profile --tls --starttls --tls-min --tls-max --ca --insecure --sni --verify-name --cert --key --show-certs --pin --dane --mta-sts --sts-port --ciphers --keylog --hello --ehlo --color --theme --labels --quiet --verbose --explain --timing --json --transcript --format --show-secrets --decode-auth -connect -starttls -showcerts -servername --help" ;;
		completion) words="bash zsh fish --help" ;;
		help) words="lab serve config status reload tls user domain alias mailbox queue trace fsck backup restore fault dialect talk send check probe mx merge roundtrip run replay explain b64 cert completion help --help" ;;
		esac
	fi
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	[ ${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- "$cur"))
}
complete -F _pennypost pennypost
