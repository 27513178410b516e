# bash completion for pennypost(1); made by `pennypost completion bash`
_pennypost() {
	local words cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	case $prev in
	--config|--file) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	--dir|--to) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	--format) COMPREPLY=($(compgen -W "mbox maildir" -- "$cur")); return ;;
	esac
	if [ "$COMP_CWORD" -eq 1 ]; then
		words="lab serve config status reload tls user domain alias mailbox trace fsck backup restore run fault dialect completion help --help --version"
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
		trace) words="--json --config --dir --help" ;;
		fsck) words="--rebuild-index --json --config --dir --help" ;;
		backup) words="--verify --json --config --dir --help" ;;
		restore) words="--force --json --config --dir --help" ;;
		run) words="--to --jobs --timeout --verbose --keep --list --json --help" ;;
		fault) words="--config --dir --help" ;;
		dialect) words="list show check learn --all --set --name --session --json --help" ;;
		completion) words="bash zsh fish --help" ;;
		help) words="lab serve config status reload tls user domain alias mailbox trace fsck backup restore run fault dialect completion help --help" ;;
		esac
	fi
	COMPREPLY=($(compgen -W "$words" -- "$cur"))
	[ ${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- "$cur"))
}
complete -F _pennypost pennypost
