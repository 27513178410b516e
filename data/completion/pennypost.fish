# fish completion for pennypost(1); made by `pennypost completion fish`
complete -c pennypost -n __fish_use_subcommand -f -a lab -d 'Start a mail server on this machine for experiments'
complete -c pennypost -n __fish_use_subcommand -f -a serve -d 'Run the mail server'
complete -c pennypost -n __fish_use_subcommand -f -a config -d 'Check a configuration file, show what it says, list the keys'
complete -c pennypost -n __fish_use_subcommand -f -a status -d 'Show the server\'s processes, their protection, connections, letters, the store'
complete -c pennypost -n __fish_use_subcommand -f -a reload -d 'Make the server read its configuration again'
complete -c pennypost -n __fish_use_subcommand -f -a tls -d 'List, make and reload certificates'
complete -c pennypost -n __fish_use_subcommand -f -a user -d 'Add, list and remove users; set their passwords and quotas'
complete -c pennypost -n __fish_use_subcommand -f -a domain -d 'Add, list and remove local domains'
complete -c pennypost -n __fish_use_subcommand -f -a alias -d 'Add, list and remove aliases: addresses that lead to others'
complete -c pennypost -n __fish_use_subcommand -f -a mailbox -d 'List and make mailboxes, read, import, export and delete what is in them'
complete -c pennypost -n __fish_use_subcommand -f -a trace -d 'Show what happened to a letter: its conversation, times and decisions'
complete -c pennypost -n __fish_use_subcommand -f -a fsck -d 'Check everything in the store, or make its index anew'
complete -c pennypost -n __fish_use_subcommand -f -a backup -d 'Copy the whole server, beside its work, into a directory; or check such a copy'
complete -c pennypost -n __fish_use_subcommand -f -a restore -d 'Put a backup back into a data directory'
complete -c pennypost -n __fish_use_subcommand -f -a run -d 'Play conversations against a server and check its answers'
complete -c pennypost -n __fish_use_subcommand -f -a fault -d 'Make a lab answer with an error once'
complete -c pennypost -n __fish_use_subcommand -f -a dialect -d 'List, show and check dialects, or make one from a transcript'
complete -c pennypost -n __fish_use_subcommand -f -a completion -d 'Print the completion script for a shell'
complete -c pennypost -n __fish_use_subcommand -f -a help -d 'Show the commands, or what one of them does'
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l dir
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l port-base
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l hostname
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l domain
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l user
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l user-plain
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l dialect
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l set
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l dns
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l help
complete -c pennypost -n '__fish_seen_subcommand_from serve' -l config
complete -c pennypost -n '__fish_seen_subcommand_from serve' -l set
complete -c pennypost -n '__fish_seen_subcommand_from serve' -l help
complete -c pennypost -n '__fish_seen_subcommand_from config' -f -a check
complete -c pennypost -n '__fish_seen_subcommand_from config' -f -a show
complete -c pennypost -n '__fish_seen_subcommand_from config' -f -a keys
complete -c pennypost -n '__fish_seen_subcommand_from config' -l all
complete -c pennypost -n '__fish_seen_subcommand_from config' -l mdoc
complete -c pennypost -n '__fish_seen_subcommand_from config' -l json
complete -c pennypost -n '__fish_seen_subcommand_from config' -l config
complete -c pennypost -n '__fish_seen_subcommand_from config' -l help
complete -c pennypost -n '__fish_seen_subcommand_from status' -l json
complete -c pennypost -n '__fish_seen_subcommand_from status' -l config
complete -c pennypost -n '__fish_seen_subcommand_from status' -l dir
complete -c pennypost -n '__fish_seen_subcommand_from status' -l help
complete -c pennypost -n '__fish_seen_subcommand_from reload' -l config
complete -c pennypost -n '__fish_seen_subcommand_from reload' -l dir
complete -c pennypost -n '__fish_seen_subcommand_from reload' -l help
complete -c pennypost -n '__fish_seen_subcommand_from tls' -f -a list
complete -c pennypost -n '__fish_seen_subcommand_from tls' -f -a make
complete -c pennypost -n '__fish_seen_subcommand_from tls' -f -a reload
complete -c pennypost -n '__fish_seen_subcommand_from tls' -l force
complete -c pennypost -n '__fish_seen_subcommand_from tls' -l json
complete -c pennypost -n '__fish_seen_subcommand_from tls' -l config
complete -c pennypost -n '__fish_seen_subcommand_from tls' -l dir
complete -c pennypost -n '__fish_seen_subcommand_from tls' -l help
complete -c pennypost -n '__fish_seen_subcommand_from user' -f -a add
complete -c pennypost -n '__fish_seen_subcommand_from user' -f -a passwd
complete -c pennypost -n '__fish_seen_subcommand_from user' -f -a import
complete -c pennypost -n '__fish_seen_subcommand_from user' -f -a list
complete -c pennypost -n '__fish_seen_subcommand_from user' -f -a quota
complete -c pennypost -n '__fish_seen_subcommand_from user' -f -a remove
complete -c pennypost -n '__fish_seen_subcommand_from user' -l password-fd
complete -c pennypost -n '__fish_seen_subcommand_from user' -l password-stdin
complete -c pennypost -n '__fish_seen_subcommand_from user' -l recoverable
complete -c pennypost -n '__fish_seen_subcommand_from user' -l hash
complete -c pennypost -n '__fish_seen_subcommand_from user' -l domain
complete -c pennypost -n '__fish_seen_subcommand_from user' -l dry-run
complete -c pennypost -n '__fish_seen_subcommand_from user' -l yes
complete -c pennypost -n '__fish_seen_subcommand_from user' -l json
complete -c pennypost -n '__fish_seen_subcommand_from user' -l config
complete -c pennypost -n '__fish_seen_subcommand_from user' -l dir
complete -c pennypost -n '__fish_seen_subcommand_from user' -l help
complete -c pennypost -n '__fish_seen_subcommand_from domain' -f -a add
complete -c pennypost -n '__fish_seen_subcommand_from domain' -f -a list
complete -c pennypost -n '__fish_seen_subcommand_from domain' -f -a remove
complete -c pennypost -n '__fish_seen_subcommand_from domain' -l json
complete -c pennypost -n '__fish_seen_subcommand_from domain' -l config
complete -c pennypost -n '__fish_seen_subcommand_from domain' -l dir
complete -c pennypost -n '__fish_seen_subcommand_from domain' -l help
complete -c pennypost -n '__fish_seen_subcommand_from alias' -f -a add
complete -c pennypost -n '__fish_seen_subcommand_from alias' -f -a list
complete -c pennypost -n '__fish_seen_subcommand_from alias' -f -a remove
complete -c pennypost -n '__fish_seen_subcommand_from alias' -l file
complete -c pennypost -n '__fish_seen_subcommand_from alias' -l json
complete -c pennypost -n '__fish_seen_subcommand_from alias' -l config
complete -c pennypost -n '__fish_seen_subcommand_from alias' -l dir
complete -c pennypost -n '__fish_seen_subcommand_from alias' -l help
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -f -a list
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -f -a show
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -f -a read
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -f -a import
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -f -a export
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -f -a delete
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -f -a create
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -f -a rename
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -f -a subscribe
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -f -a unsubscribe
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l special
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l mailbox
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l format
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l create
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l recursive
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l max-size
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l again
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l dry-run
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l to
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l all
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l before
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l yes
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l json
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l config
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l dir
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l help
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l json
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l config
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l dir
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l help
complete -c pennypost -n '__fish_seen_subcommand_from fsck' -l rebuild-index
complete -c pennypost -n '__fish_seen_subcommand_from fsck' -l json
complete -c pennypost -n '__fish_seen_subcommand_from fsck' -l config
complete -c pennypost -n '__fish_seen_subcommand_from fsck' -l dir
complete -c pennypost -n '__fish_seen_subcommand_from fsck' -l help
complete -c pennypost -n '__fish_seen_subcommand_from backup' -l verify
complete -c pennypost -n '__fish_seen_subcommand_from backup' -l json
complete -c pennypost -n '__fish_seen_subcommand_from backup' -l config
complete -c pennypost -n '__fish_seen_subcommand_from backup' -l dir
complete -c pennypost -n '__fish_seen_subcommand_from backup' -l help
complete -c pennypost -n '__fish_seen_subcommand_from restore' -l force
complete -c pennypost -n '__fish_seen_subcommand_from restore' -l json
complete -c pennypost -n '__fish_seen_subcommand_from restore' -l config
complete -c pennypost -n '__fish_seen_subcommand_from restore' -l dir
complete -c pennypost -n '__fish_seen_subcommand_from restore' -l help
complete -c pennypost -n '__fish_seen_subcommand_from run' -l to
complete -c pennypost -n '__fish_seen_subcommand_from run' -l jobs
complete -c pennypost -n '__fish_seen_subcommand_from run' -l timeout
complete -c pennypost -n '__fish_seen_subcommand_from run' -l verbose
complete -c pennypost -n '__fish_seen_subcommand_from run' -l keep
complete -c pennypost -n '__fish_seen_subcommand_from run' -l list
complete -c pennypost -n '__fish_seen_subcommand_from run' -l json
complete -c pennypost -n '__fish_seen_subcommand_from run' -l help
complete -c pennypost -n '__fish_seen_subcommand_from fault' -l config
complete -c pennypost -n '__fish_seen_subcommand_from fault' -l dir
complete -c pennypost -n '__fish_seen_subcommand_from fault' -l help
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -f -a list
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -f -a show
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -f -a check
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -f -a learn
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -l all
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -l set
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -l name
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -l session
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -l json
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -l help
complete -c pennypost -n '__fish_seen_subcommand_from completion' -f -a bash
complete -c pennypost -n '__fish_seen_subcommand_from completion' -f -a zsh
complete -c pennypost -n '__fish_seen_subcommand_from completion' -f -a fish
complete -c pennypost -n '__fish_seen_subcommand_from completion' -l help
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a lab
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a serve
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a config
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a status
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a reload
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a tls
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a user
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a domain
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a alias
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a mailbox
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a trace
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a fsck
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a backup
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a restore
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a run
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a fault
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a dialect
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a completion
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a help
complete -c pennypost -n '__fish_seen_subcommand_from help' -l help
