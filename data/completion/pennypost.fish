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
complete -c pennypost -n __fish_use_subcommand -f -a queue -d 'Show, hurry, hold and end letters that wait for other servers'
complete -c pennypost -n __fish_use_subcommand -f -a trace -d 'Show what happened to a letter: conversations, times and decisions'
complete -c pennypost -n __fish_use_subcommand -f -a fsck -d 'Check everything in the store, or make its index anew'
complete -c pennypost -n __fish_use_subcommand -f -a backup -d 'Copy the whole server, beside its work, into a directory; or check such a copy'
complete -c pennypost -n __fish_use_subcommand -f -a restore -d 'Put a backup back into a data directory'
complete -c pennypost -n __fish_use_subcommand -f -a fault -d 'Make a lab answer with an error once'
complete -c pennypost -n __fish_use_subcommand -f -a dialect -d 'List, show and check dialects, or make one from a transcript'
complete -c pennypost -n __fish_use_subcommand -f -a talk -d 'Talk to a mail server by hand: SMTP, LMTP, IMAP, POP3, ManageSieve, or anything'
complete -c pennypost -n __fish_use_subcommand -f -a send -d 'Send one letter, and say what became of it for each recipient'
complete -c pennypost -n __fish_use_subcommand -f -a check -d 'Try a mail server step by step, and say which step fails and why'
complete -c pennypost -n __fish_use_subcommand -f -a probe -d 'Ask whether the servers of a domain would take mail for an address'
complete -c pennypost -n __fish_use_subcommand -f -a mx -d 'Show where the mail of a domain goes, as a sender sees it'
complete -c pennypost -n __fish_use_subcommand -f -a merge -d 'Send one letter in parts to many, with words of each recipient in it'
complete -c pennypost -n __fish_use_subcommand -f -a roundtrip -d 'Send a letter, fetch it back, and say how long it took and what changed'
complete -c pennypost -n __fish_use_subcommand -f -a run -d 'Play conversations against a server and check its answers'
complete -c pennypost -n __fish_use_subcommand -f -a replay -d 'Play a recorded conversation again and compare the answers'
complete -c pennypost -n __fish_use_subcommand -f -a explain -d 'Say what a reply, an error or a bounce means and what to do'
complete -c pennypost -n __fish_use_subcommand -f -a b64 -d 'Encode and decode base64, and make the answers of a login, offline'
complete -c pennypost -n __fish_use_subcommand -f -a cert -d 'Show the TLS certificate of a server, and what is wrong with it'
complete -c pennypost -n __fish_use_subcommand -f -a completion -d 'Print the completion script for a shell'
complete -c pennypost -n __fish_use_subcommand -f -a help -d 'Show the commands, or what one of them does'
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l dir -x -a '(__fish_complete_directories)'
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l port-base -x
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l hostname -x
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l domain -x
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l user -x
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l user-plain -x
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l dialect -x
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l set -x
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l dns -x
complete -c pennypost -n '__fish_seen_subcommand_from lab' -l help
complete -c pennypost -n '__fish_seen_subcommand_from serve' -l config -r -F
complete -c pennypost -n '__fish_seen_subcommand_from serve' -l set -x
complete -c pennypost -n '__fish_seen_subcommand_from serve' -l help
complete -c pennypost -n '__fish_seen_subcommand_from config' -f -a check
complete -c pennypost -n '__fish_seen_subcommand_from config' -f -a show
complete -c pennypost -n '__fish_seen_subcommand_from config' -f -a keys
complete -c pennypost -n '__fish_seen_subcommand_from config' -l all
complete -c pennypost -n '__fish_seen_subcommand_from config' -l mdoc
complete -c pennypost -n '__fish_seen_subcommand_from config' -l json
complete -c pennypost -n '__fish_seen_subcommand_from config' -l config -r -F
complete -c pennypost -n '__fish_seen_subcommand_from config' -l help
complete -c pennypost -n '__fish_seen_subcommand_from status' -l json
complete -c pennypost -n '__fish_seen_subcommand_from status' -l config -r -F
complete -c pennypost -n '__fish_seen_subcommand_from status' -l dir -x -a '(__fish_complete_directories)'
complete -c pennypost -n '__fish_seen_subcommand_from status' -l help
complete -c pennypost -n '__fish_seen_subcommand_from reload' -l config -r -F
complete -c pennypost -n '__fish_seen_subcommand_from reload' -l dir -x -a '(__fish_complete_directories)'
complete -c pennypost -n '__fish_seen_subcommand_from reload' -l help
complete -c pennypost -n '__fish_seen_subcommand_from tls' -f -a list
complete -c pennypost -n '__fish_seen_subcommand_from tls' -f -a make
complete -c pennypost -n '__fish_seen_subcommand_from tls' -f -a reload
complete -c pennypost -n '__fish_seen_subcommand_from tls' -l force
complete -c pennypost -n '__fish_seen_subcommand_from tls' -l json
complete -c pennypost -n '__fish_seen_subcommand_from tls' -l config -r -F
complete -c pennypost -n '__fish_seen_subcommand_from tls' -l dir -x -a '(__fish_complete_directories)'
complete -c pennypost -n '__fish_seen_subcommand_from tls' -l help
complete -c pennypost -n '__fish_seen_subcommand_from user' -f -a add
complete -c pennypost -n '__fish_seen_subcommand_from user' -f -a passwd
complete -c pennypost -n '__fish_seen_subcommand_from user' -f -a import
complete -c pennypost -n '__fish_seen_subcommand_from user' -f -a list
complete -c pennypost -n '__fish_seen_subcommand_from user' -f -a quota
complete -c pennypost -n '__fish_seen_subcommand_from user' -f -a remove
complete -c pennypost -n '__fish_seen_subcommand_from user' -l password-fd -x
complete -c pennypost -n '__fish_seen_subcommand_from user' -l password-stdin
complete -c pennypost -n '__fish_seen_subcommand_from user' -l recoverable
complete -c pennypost -n '__fish_seen_subcommand_from user' -l hash -x
complete -c pennypost -n '__fish_seen_subcommand_from user' -l domain -x
complete -c pennypost -n '__fish_seen_subcommand_from user' -l dry-run
complete -c pennypost -n '__fish_seen_subcommand_from user' -l yes
complete -c pennypost -n '__fish_seen_subcommand_from user' -l json
complete -c pennypost -n '__fish_seen_subcommand_from user' -l config -r -F
complete -c pennypost -n '__fish_seen_subcommand_from user' -l dir -x -a '(__fish_complete_directories)'
complete -c pennypost -n '__fish_seen_subcommand_from user' -l help
complete -c pennypost -n '__fish_seen_subcommand_from domain' -f -a add
complete -c pennypost -n '__fish_seen_subcommand_from domain' -f -a list
complete -c pennypost -n '__fish_seen_subcommand_from domain' -f -a remove
complete -c pennypost -n '__fish_seen_subcommand_from domain' -l json
complete -c pennypost -n '__fish_seen_subcommand_from domain' -l config -r -F
complete -c pennypost -n '__fish_seen_subcommand_from domain' -l dir -x -a '(__fish_complete_directories)'
complete -c pennypost -n '__fish_seen_subcommand_from domain' -l help
complete -c pennypost -n '__fish_seen_subcommand_from alias' -f -a add
complete -c pennypost -n '__fish_seen_subcommand_from alias' -f -a list
complete -c pennypost -n '__fish_seen_subcommand_from alias' -f -a remove
complete -c pennypost -n '__fish_seen_subcommand_from alias' -l file -r -F
complete -c pennypost -n '__fish_seen_subcommand_from alias' -l json
complete -c pennypost -n '__fish_seen_subcommand_from alias' -l config -r -F
complete -c pennypost -n '__fish_seen_subcommand_from alias' -l dir -x -a '(__fish_complete_directories)'
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
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l special -x
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l mailbox -x
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l format -x -a 'mbox maildir'
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l create
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l recursive
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l max-size -x
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l again
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l dry-run
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l to -x -a '(__fish_complete_directories)'
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l all
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l before -x
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l yes
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l json
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l config -r -F
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l dir -x -a '(__fish_complete_directories)'
complete -c pennypost -n '__fish_seen_subcommand_from mailbox' -l help
complete -c pennypost -n '__fish_seen_subcommand_from queue' -f -a list
complete -c pennypost -n '__fish_seen_subcommand_from queue' -f -a show
complete -c pennypost -n '__fish_seen_subcommand_from queue' -f -a why
complete -c pennypost -n '__fish_seen_subcommand_from queue' -f -a retry
complete -c pennypost -n '__fish_seen_subcommand_from queue' -f -a hold
complete -c pennypost -n '__fish_seen_subcommand_from queue' -f -a release
complete -c pennypost -n '__fish_seen_subcommand_from queue' -f -a bounce
complete -c pennypost -n '__fish_seen_subcommand_from queue' -f -a delete
complete -c pennypost -n '__fish_seen_subcommand_from queue' -f -a flush
complete -c pennypost -n '__fish_seen_subcommand_from queue' -f -a fetch
complete -c pennypost -n '__fish_seen_subcommand_from queue' -f -a top
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l from -x
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l to -x
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l domain -x
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l older -x
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l newer -x
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l error -x -a 'name connect tls login greeting sender rcpt letter closed policy damaged'
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l state -x -a 'ready waiting active held later turn damaged'
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l all
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l limit -x
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l reason -x
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l yes
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l interval -x
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l count -x
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l json
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l config -r -F
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l dir -x -a '(__fish_complete_directories)'
complete -c pennypost -n '__fish_seen_subcommand_from queue' -l help
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l from -x
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l to -x
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l peer -x
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l message-id -x
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l since -x
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l until -x
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l limit -x
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l all
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l follow
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l json
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l format -x -a 'conv'
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l attempt -x
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l config -r -F
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l dir -x -a '(__fish_complete_directories)'
complete -c pennypost -n '__fish_seen_subcommand_from trace' -l help
complete -c pennypost -n '__fish_seen_subcommand_from fsck' -l rebuild-index
complete -c pennypost -n '__fish_seen_subcommand_from fsck' -l json
complete -c pennypost -n '__fish_seen_subcommand_from fsck' -l config -r -F
complete -c pennypost -n '__fish_seen_subcommand_from fsck' -l dir -x -a '(__fish_complete_directories)'
complete -c pennypost -n '__fish_seen_subcommand_from fsck' -l help
complete -c pennypost -n '__fish_seen_subcommand_from backup' -l verify
complete -c pennypost -n '__fish_seen_subcommand_from backup' -l json
complete -c pennypost -n '__fish_seen_subcommand_from backup' -l config -r -F
complete -c pennypost -n '__fish_seen_subcommand_from backup' -l dir -x -a '(__fish_complete_directories)'
complete -c pennypost -n '__fish_seen_subcommand_from backup' -l help
complete -c pennypost -n '__fish_seen_subcommand_from restore' -l force
complete -c pennypost -n '__fish_seen_subcommand_from restore' -l json
complete -c pennypost -n '__fish_seen_subcommand_from restore' -l config -r -F
complete -c pennypost -n '__fish_seen_subcommand_from restore' -l dir -x -a '(__fish_complete_directories)'
complete -c pennypost -n '__fish_seen_subcommand_from restore' -l help
complete -c pennypost -n '__fish_seen_subcommand_from fault' -l config -r -F
complete -c pennypost -n '__fish_seen_subcommand_from fault' -l dir -x -a '(__fish_complete_directories)'
complete -c pennypost -n '__fish_seen_subcommand_from fault' -l help
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -f -a list
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -f -a show
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -f -a check
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -f -a learn
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -l all
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -l set -x
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -l name -x
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -l session -x
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -l json
complete -c pennypost -n '__fish_seen_subcommand_from dialect' -l help
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l pipeline
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l temp-exit
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l lint -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -s 4
complete -c pennypost -n '__fish_seen_subcommand_from talk' -s 6
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l bind -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l port -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l proto -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l timeout -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l mx
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l resolve -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l dns -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l source-ehlo -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l proxy-v1
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l proxy-v2
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l profile -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l tls -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l starttls
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l tls-min -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l tls-max -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l ca -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l insecure
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l sni -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l verify-name -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l cert -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l key -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l show-certs
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l pin -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l dane
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l mta-sts
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l sts-port -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l ciphers -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l keylog -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l hello -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l ehlo -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l auth
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l user -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l authzid -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l password-file -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l password-fd -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l token-cmd -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l force-auth
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l no-initial-response
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l allow-cleartext
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l eol -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l segments -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l delay -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l telnet-neg
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l raw
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l debug-bytes
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l color -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l theme -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l labels -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l quiet
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l verbose
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l explain -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l timing
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l json
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l transcript -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l format -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l show-secrets
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l decode-auth
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l strict-typing
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l print-manual
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l record -x
complete -c pennypost -n '__fish_seen_subcommand_from talk' -o connect
complete -c pennypost -n '__fish_seen_subcommand_from talk' -o starttls
complete -c pennypost -n '__fish_seen_subcommand_from talk' -o showcerts
complete -c pennypost -n '__fish_seen_subcommand_from talk' -o servername
complete -c pennypost -n '__fish_seen_subcommand_from talk' -l help
complete -c pennypost -n '__fish_seen_subcommand_from send' -s 4
complete -c pennypost -n '__fish_seen_subcommand_from send' -s 6
complete -c pennypost -n '__fish_seen_subcommand_from send' -l bind -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l port -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l proto -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l timeout -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l mx
complete -c pennypost -n '__fish_seen_subcommand_from send' -l resolve -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l dns -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l source-ehlo -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l proxy-v1
complete -c pennypost -n '__fish_seen_subcommand_from send' -l proxy-v2
complete -c pennypost -n '__fish_seen_subcommand_from send' -l profile -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l tls -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l starttls
complete -c pennypost -n '__fish_seen_subcommand_from send' -l tls-min -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l tls-max -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l ca -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l insecure
complete -c pennypost -n '__fish_seen_subcommand_from send' -l sni -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l verify-name -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l cert -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l key -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l show-certs
complete -c pennypost -n '__fish_seen_subcommand_from send' -l pin -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l dane
complete -c pennypost -n '__fish_seen_subcommand_from send' -l mta-sts
complete -c pennypost -n '__fish_seen_subcommand_from send' -l sts-port -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l ciphers -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l keylog -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l hello -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l ehlo -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l auth
complete -c pennypost -n '__fish_seen_subcommand_from send' -l user -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l authzid -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l password-file -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l password-fd -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l token-cmd -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l force-auth
complete -c pennypost -n '__fish_seen_subcommand_from send' -l no-initial-response
complete -c pennypost -n '__fish_seen_subcommand_from send' -l allow-cleartext
complete -c pennypost -n '__fish_seen_subcommand_from send' -l from -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l to -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l null-sender
complete -c pennypost -n '__fish_seen_subcommand_from send' -l size
complete -c pennypost -n '__fish_seen_subcommand_from send' -l no-size
complete -c pennypost -n '__fish_seen_subcommand_from send' -l body -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l smtputf8
complete -c pennypost -n '__fish_seen_subcommand_from send' -l verp
complete -c pennypost -n '__fish_seen_subcommand_from send' -l dsn -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l by -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l priority -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l hold -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l requiretls
complete -c pennypost -n '__fish_seen_subcommand_from send' -l pipeline
complete -c pennypost -n '__fish_seen_subcommand_from send' -l chunking
complete -c pennypost -n '__fish_seen_subcommand_from send' -l max-rcpt -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l mail-param -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l rcpt-param -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l xclient -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l subject -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l header -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l text -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l text-file -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l html -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l attach -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l eicar
complete -c pennypost -n '__fish_seen_subcommand_from send' -l gtube
complete -c pennypost -n '__fish_seen_subcommand_from send' -l data -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l lint -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l no-date
complete -c pennypost -n '__fish_seen_subcommand_from send' -l no-message-id
complete -c pennypost -n '__fish_seen_subcommand_from send' -l eol -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l segments -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l delay -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l telnet-neg
complete -c pennypost -n '__fish_seen_subcommand_from send' -l raw
complete -c pennypost -n '__fish_seen_subcommand_from send' -l debug-bytes
complete -c pennypost -n '__fish_seen_subcommand_from send' -l color -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l theme -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l labels -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l quiet
complete -c pennypost -n '__fish_seen_subcommand_from send' -l verbose
complete -c pennypost -n '__fish_seen_subcommand_from send' -l explain -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l timing
complete -c pennypost -n '__fish_seen_subcommand_from send' -l json
complete -c pennypost -n '__fish_seen_subcommand_from send' -l transcript -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l format -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l show-secrets
complete -c pennypost -n '__fish_seen_subcommand_from send' -l decode-auth
complete -c pennypost -n '__fish_seen_subcommand_from send' -l quit-after -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l drop-after -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l repeat -x
complete -c pennypost -n '__fish_seen_subcommand_from send' -l temp-exit
complete -c pennypost -n '__fish_seen_subcommand_from send' -l help
complete -c pennypost -n '__fish_seen_subcommand_from check' -l user -x
complete -c pennypost -n '__fish_seen_subcommand_from check' -l password-file -r -F
complete -c pennypost -n '__fish_seen_subcommand_from check' -l password-fd -x
complete -c pennypost -n '__fish_seen_subcommand_from check' -l token-cmd -x
complete -c pennypost -n '__fish_seen_subcommand_from check' -l from -x
complete -c pennypost -n '__fish_seen_subcommand_from check' -l to -x
complete -c pennypost -n '__fish_seen_subcommand_from check' -l relay-test
complete -c pennypost -n '__fish_seen_subcommand_from check' -l tls -x -a 'may must never implicit'
complete -c pennypost -n '__fish_seen_subcommand_from check' -l ca -r -F
complete -c pennypost -n '__fish_seen_subcommand_from check' -l verify-name -x
complete -c pennypost -n '__fish_seen_subcommand_from check' -l insecure
complete -c pennypost -n '__fish_seen_subcommand_from check' -l dane
complete -c pennypost -n '__fish_seen_subcommand_from check' -l mta-sts
complete -c pennypost -n '__fish_seen_subcommand_from check' -l hello -x -a 'auto ehlo helo lhlo none'
complete -c pennypost -n '__fish_seen_subcommand_from check' -l ehlo -x
complete -c pennypost -n '__fish_seen_subcommand_from check' -s 4
complete -c pennypost -n '__fish_seen_subcommand_from check' -s 6
complete -c pennypost -n '__fish_seen_subcommand_from check' -l resolve -x
complete -c pennypost -n '__fish_seen_subcommand_from check' -l timeout -x
complete -c pennypost -n '__fish_seen_subcommand_from check' -l verbose
complete -c pennypost -n '__fish_seen_subcommand_from check' -l json
complete -c pennypost -n '__fish_seen_subcommand_from check' -l help
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l server -x
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l from -x
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l catchall-test
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l method -x -a 'rcpt vrfy expn'
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l parallel -x
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l delay -x
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l retry
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l retry-wait -x
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l temp-exit
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l dns -x
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l resolve -x
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l port -x
complete -c pennypost -n '__fish_seen_subcommand_from probe' -s 4
complete -c pennypost -n '__fish_seen_subcommand_from probe' -s 6
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l tls -x -a 'may must never'
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l dane
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l mta-sts
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l ehlo -x
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l timeout -x
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l verbose
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l json
complete -c pennypost -n '__fish_seen_subcommand_from probe' -l help
complete -c pennypost -n '__fish_seen_subcommand_from mx' -l dns -x
complete -c pennypost -n '__fish_seen_subcommand_from mx' -l resolve -x
complete -c pennypost -n '__fish_seen_subcommand_from mx' -s 4
complete -c pennypost -n '__fish_seen_subcommand_from mx' -s 6
complete -c pennypost -n '__fish_seen_subcommand_from mx' -l timeout -x
complete -c pennypost -n '__fish_seen_subcommand_from mx' -l ca -r -F
complete -c pennypost -n '__fish_seen_subcommand_from mx' -l sts-port -x
complete -c pennypost -n '__fish_seen_subcommand_from mx' -l json
complete -c pennypost -n '__fish_seen_subcommand_from mx' -l help
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l data -r -F
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l to-column -x
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l separator -x
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l brackets
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l single
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l dry-run
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l server -x
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l from -x
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l null-sender
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l user -x
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l password-file -r -F
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l tls -x -a 'may must never implicit'
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l ca -r -F
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l timeout -x
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l verbose
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l quiet
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l json
complete -c pennypost -n '__fish_seen_subcommand_from merge' -l help
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l read -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l read-password-file -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l read-password-fd -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l wait -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l keep
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l delete
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l repeat -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -s 4
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -s 6
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l bind -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l port -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l proto -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l timeout -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l mx
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l resolve -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l dns -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l source-ehlo -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l proxy-v1
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l proxy-v2
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l profile -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l tls -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l starttls
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l tls-min -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l tls-max -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l ca -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l insecure
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l sni -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l verify-name -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l cert -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l key -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l show-certs
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l pin -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l dane
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l mta-sts
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l sts-port -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l ciphers -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l keylog -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l hello -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l ehlo -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l auth
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l user -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l authzid -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l password-file -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l password-fd -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l token-cmd -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l force-auth
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l no-initial-response
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l allow-cleartext
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l from -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l to -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l null-sender
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l size
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l no-size
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l body -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l smtputf8
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l verp
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l dsn -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l by -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l priority -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l hold -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l requiretls
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l pipeline
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l chunking
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l max-rcpt -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l mail-param -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l rcpt-param -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l xclient -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l color -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l theme -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l labels -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l quiet
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l verbose
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l explain -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l timing
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l json
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l transcript -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l format -x
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l show-secrets
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l decode-auth
complete -c pennypost -n '__fish_seen_subcommand_from roundtrip' -l help
complete -c pennypost -n '__fish_seen_subcommand_from run' -l to -x
complete -c pennypost -n '__fish_seen_subcommand_from run' -l var -x
complete -c pennypost -n '__fish_seen_subcommand_from run' -l env
complete -c pennypost -n '__fish_seen_subcommand_from run' -l jobs -x
complete -c pennypost -n '__fish_seen_subcommand_from run' -s j -x
complete -c pennypost -n '__fish_seen_subcommand_from run' -l timeout -x
complete -c pennypost -n '__fish_seen_subcommand_from run' -l verbose
complete -c pennypost -n '__fish_seen_subcommand_from run' -s v
complete -c pennypost -n '__fish_seen_subcommand_from run' -l keep
complete -c pennypost -n '__fish_seen_subcommand_from run' -l list
complete -c pennypost -n '__fish_seen_subcommand_from run' -l json
complete -c pennypost -n '__fish_seen_subcommand_from run' -l junit -r -F
complete -c pennypost -n '__fish_seen_subcommand_from run' -l ca -r -F
complete -c pennypost -n '__fish_seen_subcommand_from run' -l verify-name -x
complete -c pennypost -n '__fish_seen_subcommand_from run' -l sni -x
complete -c pennypost -n '__fish_seen_subcommand_from run' -l cert -r -F
complete -c pennypost -n '__fish_seen_subcommand_from run' -l key -r -F
complete -c pennypost -n '__fish_seen_subcommand_from run' -l help
complete -c pennypost -n '__fish_seen_subcommand_from replay' -l diff -x -a 'code enhanced text'
complete -c pennypost -n '__fish_seen_subcommand_from replay' -l to -x
complete -c pennypost -n '__fish_seen_subcommand_from replay' -l session -x
complete -c pennypost -n '__fish_seen_subcommand_from replay' -l convert -x -a 'conv telnet json html'
complete -c pennypost -n '__fish_seen_subcommand_from replay' -l user -x
complete -c pennypost -n '__fish_seen_subcommand_from replay' -l password-file -r -F
complete -c pennypost -n '__fish_seen_subcommand_from replay' -l password-fd -x
complete -c pennypost -n '__fish_seen_subcommand_from replay' -l timeout -x
complete -c pennypost -n '__fish_seen_subcommand_from replay' -l implicit
complete -c pennypost -n '__fish_seen_subcommand_from replay' -l ca -r -F
complete -c pennypost -n '__fish_seen_subcommand_from replay' -l verify-name -x
complete -c pennypost -n '__fish_seen_subcommand_from replay' -l sni -x
complete -c pennypost -n '__fish_seen_subcommand_from replay' -l cert -r -F
complete -c pennypost -n '__fish_seen_subcommand_from replay' -l key -r -F
complete -c pennypost -n '__fish_seen_subcommand_from replay' -l help
complete -c pennypost -n '__fish_seen_subcommand_from explain' -l short
complete -c pennypost -n '__fish_seen_subcommand_from explain' -l all
complete -c pennypost -n '__fish_seen_subcommand_from explain' -l list
complete -c pennypost -n '__fish_seen_subcommand_from explain' -l proto -x
complete -c pennypost -n '__fish_seen_subcommand_from explain' -l json
complete -c pennypost -n '__fish_seen_subcommand_from explain' -l help
complete -c pennypost -n '__fish_seen_subcommand_from b64' -f -a enc
complete -c pennypost -n '__fish_seen_subcommand_from b64' -f -a dec
complete -c pennypost -n '__fish_seen_subcommand_from b64' -f -a plain
complete -c pennypost -n '__fish_seen_subcommand_from b64' -f -a login
complete -c pennypost -n '__fish_seen_subcommand_from b64' -f -a cram
complete -c pennypost -n '__fish_seen_subcommand_from b64' -l raw
complete -c pennypost -n '__fish_seen_subcommand_from b64' -l show-secrets
complete -c pennypost -n '__fish_seen_subcommand_from b64' -l authzid -x
complete -c pennypost -n '__fish_seen_subcommand_from b64' -l password-file -x
complete -c pennypost -n '__fish_seen_subcommand_from b64' -l password-fd -x
complete -c pennypost -n '__fish_seen_subcommand_from b64' -l help
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l all-versions
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l all-ciphers
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l pem
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l warn-days -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -s 4
complete -c pennypost -n '__fish_seen_subcommand_from cert' -s 6
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l bind -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l port -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l proto -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l timeout -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l mx
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l resolve -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l dns -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l source-ehlo -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l proxy-v1
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l proxy-v2
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l profile -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l tls -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l starttls
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l tls-min -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l tls-max -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l ca -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l insecure
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l sni -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l verify-name -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l cert -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l key -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l show-certs
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l pin -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l dane
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l mta-sts
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l sts-port -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l ciphers -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l keylog -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l hello -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l ehlo -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l color -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l theme -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l labels -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l quiet
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l verbose
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l explain -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l timing
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l json
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l transcript -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l format -x
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l show-secrets
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l decode-auth
complete -c pennypost -n '__fish_seen_subcommand_from cert' -o connect
complete -c pennypost -n '__fish_seen_subcommand_from cert' -o starttls
complete -c pennypost -n '__fish_seen_subcommand_from cert' -o showcerts
complete -c pennypost -n '__fish_seen_subcommand_from cert' -o servername
complete -c pennypost -n '__fish_seen_subcommand_from cert' -l help
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
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a queue
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a trace
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a fsck
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a backup
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a restore
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a fault
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a dialect
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a talk
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a send
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a check
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a probe
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a mx
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a merge
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a roundtrip
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a run
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a replay
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a explain
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a b64
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a cert
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a completion
complete -c pennypost -n '__fish_seen_subcommand_from help' -f -a help
complete -c pennypost -n '__fish_seen_subcommand_from help' -l help
