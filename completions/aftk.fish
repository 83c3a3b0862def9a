# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_aftk_global_optspecs
    string join \n home= C/directory= json q/quiet y/yes v/verbose color= progress= h/help V/version
end

function __fish_aftk_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_aftk_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_aftk_using_subcommand
    set -l cmd (__fish_aftk_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c aftk -n "__fish_aftk_needs_command" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_needs_command" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_needs_command" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_needs_command" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_needs_command" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_needs_command" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_needs_command" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_needs_command" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_needs_command" -s V -l version -d 'Print version'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "init" -d 'Write an aftk.toml for the lockfiles in this directory'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "add" -d 'Add requests to aftk.toml, and leave its comments and order as they are'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "remove" -d 'Take requests out of aftk.toml, and leave its comments and order as they are'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "lock" -d 'Resolve requests to exact versions, and write them to aftk.lock'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "collect" -d 'Resolve, download and pack into a signed bundle'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "pack" -d 'Pack what the store shows into a signed bundle, without any network'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "inspect" -d 'Show what bundles list, without unpacking them'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "diff" -d 'Show what moved from one bundle to another, or what importing a bundle would change here'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "verify" -d 'Verify bundles: signatures, every byte, and that all is there; what mends them as well'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "repair" -d 'Mend damaged volumes, and make lost ones again'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "import" -d 'Verify bundles and take them into the store'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "serve" -d 'Serve the store to clients'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "export" -d 'Write images as docker, podman, skopeo and containerd read them, or packages as plain files'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "push" -d 'Push images or npm packages into a registry, Python releases into an index, or archives of packages into a server of files or aptly'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "status" -d 'Tell how channels stand: what arrived and what did not, how old it is, what clients see'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "ls" -d 'List what the store shows'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "why" -d 'Tell why something is here: request, lock, origin, signer, import, pushes'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "wanted" -d 'List what clients asked for and was not here, as requests'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "forget" -d 'Take artifacts out of view: their bytes go with the next gc'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "rollback" -d 'Show an earlier state of a channel'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "promote" -d 'Show a later state of a channel, after a rollback'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "check" -d 'Re-hash everything in the store, and set aside what is damaged'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "gc" -d 'Free what nothing in the store refers to any more'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "receipt" -d 'Print a signed receipt of what this site has'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "backup" -d 'Write all of a home that is nowhere else into one file'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "restore" -d 'Make an empty home what it was when it was backed up'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "recover" -d 'Take new bundles again, after a backup was restored or an old copy of the store put back'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "key" -d 'Make, show, trust and revoke keys'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "account" -d 'Say who may use what this side serves'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "login" -d 'Sign in to a registry; the account is kept as docker keeps it'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "setup" -d 'Print the configuration that points a client at a server'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "completion" -d 'Print completions for a shell'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "demo" -d 'Show the whole journey on this machine, from collect to install'
complete -c aftk -n "__fish_aftk_needs_command" -f -a "version" -d 'Print the version, the bundle format and this build\'s ecosystems'
complete -c aftk -n "__fish_aftk_using_subcommand init" -s f -l file -d 'Write into FILE' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand init" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand init" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand init" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand init" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand init" -s n -l dry-run -d 'Only say what would be written'
complete -c aftk -n "__fish_aftk_using_subcommand init" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand init" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand init" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand init" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand init" -s h -l help -d 'Print help'
complete -c aftk -n "__fish_aftk_using_subcommand add" -l from -d 'Read requests from FILE, as `aftk wanted` prints them' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand add" -s f -l file -d 'Add them to FILE' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand add" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand add" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand add" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand add" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand add" -s n -l dry-run -d 'Only say what would be added'
complete -c aftk -n "__fish_aftk_using_subcommand add" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand add" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand add" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand add" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand remove" -s f -l file -d 'Take them out of FILE' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand remove" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand remove" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand remove" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand remove" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand remove" -s n -l dry-run -d 'Only say what would be taken out'
complete -c aftk -n "__fish_aftk_using_subcommand remove" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand remove" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand remove" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand remove" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand remove" -s h -l help -d 'Print help'
complete -c aftk -n "__fish_aftk_using_subcommand lock" -s f -l file -d 'Read the requests from this aftk.toml; those of the command line are added, and paths in them begin beside it' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand lock" -l channel -d 'The channel to collect for' -r
complete -c aftk -n "__fish_aftk_using_subcommand lock" -s p -l platform -d 'Only for this platform, for example linux-x64-glibc; several are possible' -r
complete -c aftk -n "__fish_aftk_using_subcommand lock" -l python -d 'For this Python, for example 3.12, cp313t or pp310, on each platform (manylinux_2_28_x86_64); several are possible' -r
complete -c aftk -n "__fish_aftk_using_subcommand lock" -s P -l upgrade-package -d 'Resolve anew, but move NAME alone (`name` or `ecosystem:name`), and print what moved; several are possible' -r
complete -c aftk -n "__fish_aftk_using_subcommand lock" -l ca-file -d 'Also trust the certificate authorities in FILE (PEM), whatever other settings say' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand lock" -l insecure-host -d 'Speak plain HTTP with HOST, or HOST:PORT, although it is not this machine; where the client\'s own settings say so too (npm\'s `strict-ssl=false`), do not check its certificate either' -r
complete -c aftk -n "__fish_aftk_using_subcommand lock" -l limit-rate -d 'Move at most so many bytes a second, for example 2MiB' -r
complete -c aftk -n "__fish_aftk_using_subcommand lock" -s j -l jobs -d 'How many transfers at once' -r
complete -c aftk -n "__fish_aftk_using_subcommand lock" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand lock" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand lock" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand lock" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand lock" -l no-recommends -d 'Without the packages that others merely recommend'
complete -c aftk -n "__fish_aftk_using_subcommand lock" -l with-sources -d 'With the source packages that the packages were made from'
complete -c aftk -n "__fish_aftk_using_subcommand lock" -l build-wheels -d 'Build wheels of source distributions that have none for this machine\'s Pythons, without network and with what is carried alone'
complete -c aftk -n "__fish_aftk_using_subcommand lock" -l upgrade -d 'Resolve anew even if the lock answers, and print what moved'
complete -c aftk -n "__fish_aftk_using_subcommand lock" -s n -l dry-run -d 'Resolve, but write nothing'
complete -c aftk -n "__fish_aftk_using_subcommand lock" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand lock" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand lock" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand lock" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand lock" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand collect" -s f -l file -d 'Read the requests from this aftk.toml; those of the command line are added, and paths in them begin beside it' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l channel -d 'The channel to collect for' -r
complete -c aftk -n "__fish_aftk_using_subcommand collect" -s p -l platform -d 'Only for this platform, for example linux-x64-glibc; several are possible' -r
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l python -d 'For this Python, for example 3.12, cp313t or pp310, on each platform (manylinux_2_28_x86_64); several are possible' -r
complete -c aftk -n "__fish_aftk_using_subcommand collect" -s o -l out -d 'Write the bundle into DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l key -d 'Sign with this key of the home, or this key file; made on first use' -r
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l passphrase-file -d 'Read the passphrase of the key from FILE' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l sign-command -d 'Let COMMAND sign, for keys in tokens: it gets what is to be signed on stdin and prints the raw signature; --key names the file of the public key' -r
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l prove -d 'Prove more than by resolving once more: `install` has this machine\'s clients (pip, npm) install from the finished bundle alone, in a network namespace' -r -f -a "install\t''"
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l reissue -d 'Issue sequence SEQ of the channel once more, from what is held: nothing is resolved or downloaded' -r
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l volume-size -d 'Cut the bundle into volumes of at most SIZE: `4GiB`, `700MiB`, or what a medium takes: `fat32`, `dvd`, `bd`, `diode`. At a terminal, the next medium is asked for when one is full' -r
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l recovery -d 'Write beside each file what mends it when up to PERCENT of it are damaged: `10%`' -r
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l survive -d 'Write N spare volumes, each of which stands in for any volume that is lost' -r
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l receipt -d 'Leave out what the sites have by these receipts (`aftk receipt`); of several, what all have' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l since -d 'Leave out what sequence SEQ of the channel lists' -r
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l assume-held -d 'Leave out what any sequence of the channel up to SEQ lists: for sites that nothing comes back from' -r
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l missing -d 'Leave out everything but what FILE names, which `aftk import --missing FILE` wrote' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l full-every -d 'Leave nothing out at every Nth sequence' -r
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l ca-file -d 'Also trust the certificate authorities in FILE (PEM), whatever other settings say' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l insecure-host -d 'Speak plain HTTP with HOST, or HOST:PORT, although it is not this machine; where the client\'s own settings say so too (npm\'s `strict-ssl=false`), do not check its certificate either' -r
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l limit-rate -d 'Move at most so many bytes a second, for example 2MiB' -r
complete -c aftk -n "__fish_aftk_using_subcommand collect" -s j -l jobs -d 'How many transfers at once' -r
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand collect" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l no-recommends -d 'Without the packages that others merely recommend'
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l with-sources -d 'With the source packages that the packages were made from'
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l build-wheels -d 'Build wheels of source distributions that have none for this machine\'s Pythons, without network and with what is carried alone'
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l locked -d 'Take exactly what aftk.lock says, and fail if it answers other requests'
complete -c aftk -n "__fish_aftk_using_subcommand collect" -s n -l dry-run -d 'Stop before anything but metadata is downloaded'
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l no-readback -d 'Do not read the finished bundle back from the medium'
complete -c aftk -n "__fish_aftk_using_subcommand collect" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand collect" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand collect" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand collect" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand collect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand pack" -s o -l out -d 'Write the bundle into DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l channel -d 'The channel to pack for, which nobody but this side fills' -r
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l as -d 'Pack what was pushed into the hosted repository NAME as if it were from REGISTRY: `team=registry.example`' -r
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l key -d 'Sign with this key of the home, or this key file; made on first use' -r
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l passphrase-file -d 'Read the passphrase of the key from FILE' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l sign-command -d 'Let COMMAND sign, for keys in tokens: it gets what is to be signed on stdin and prints the raw signature; --key names the file of the public key' -r
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l volume-size -d 'Cut the bundle into volumes of at most SIZE: `4GiB`, `700MiB`, or what a medium takes: `fat32`, `dvd`, `bd`, `diode`. At a terminal, the next medium is asked for when one is full' -r
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l recovery -d 'Write beside each file what mends it when up to PERCENT of it are damaged: `10%`' -r
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l survive -d 'Write N spare volumes, each of which stands in for any volume that is lost' -r
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l receipt -d 'Leave out what the sites have by these receipts (`aftk receipt`); of several, what all have' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l since -d 'Leave out what sequence SEQ of the channel lists' -r
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l assume-held -d 'Leave out what any sequence of the channel up to SEQ lists: for sites that nothing comes back from' -r
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l missing -d 'Leave out everything but what FILE names, which `aftk import --missing FILE` wrote' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l full-every -d 'Leave nothing out at every Nth sequence' -r
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand pack" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand pack" -s n -l dry-run -d 'Only say what would be packed, and how large it would be'
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l no-readback -d 'Do not read the finished bundle back from the medium'
complete -c aftk -n "__fish_aftk_using_subcommand pack" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand pack" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand pack" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand pack" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand pack" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand inspect" -l format -d 'How to show it; cyclonedx (1.6) and spdx (2.3) are bills of materials in JSON, of one bundle each' -r -f -a "tree\t''
table\t''
json\t''
csv\t''
cyclonedx\t''
spdx\t''"
complete -c aftk -n "__fish_aftk_using_subcommand inspect" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand inspect" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand inspect" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand inspect" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand inspect" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand inspect" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand inspect" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand inspect" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand diff" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand diff" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand diff" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand diff" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand diff" -l exit-code -d 'Exit with 1 if anything moved'
complete -c aftk -n "__fish_aftk_using_subcommand diff" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand diff" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand diff" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand diff" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand verify" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand verify" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand verify" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand verify" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand verify" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand verify" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand verify" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand verify" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand repair" -s o -l out -d 'The directory that gets the sound volumes' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand repair" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand repair" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand repair" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand repair" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand repair" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand repair" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand repair" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand repair" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand repair" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand import" -l watch -d 'Import what is in DIR, and what comes there until the program is stopped. A volume is taken once its `.sha256` lies beside it, or its size does not change any more' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand import" -l missing -d 'Write what a bundle relies on and is not here into FILE, for `aftk collect --missing FILE`' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand import" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand import" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand import" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand import" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand import" -s n -l dry-run -d 'Verify every byte and say what would be imported, but change nothing'
complete -c aftk -n "__fish_aftk_using_subcommand import" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand import" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand import" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand import" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand serve" -l listen -d 'Listen on ADDRESS:PORT; several are possible; port 0 takes a free one [default: site.toml, else 127.0.0.1:2385]' -r
complete -c aftk -n "__fish_aftk_using_subcommand serve" -l tls-cert -d 'Speak TLS, and show the certificate in FILE (PEM, with the chain behind it); read again when it changes' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand serve" -l tls-key -d 'The private key of that certificate (PEM)' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand serve" -l tls-name -d 'A name or address by which clients reach this server, for certificates of its own authority; several are possible' -r
complete -c aftk -n "__fish_aftk_using_subcommand serve" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand serve" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand serve" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand serve" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand serve" -l tls-self -d 'Speak TLS with certificates of this site\'s own authority, which is made if there is none'
complete -c aftk -n "__fish_aftk_using_subcommand serve" -l impersonate -d 'Answer for the upstreams of what was imported by their own names too, for clients that are led here for them by DNS or /etc/hosts; with --tls-self, certificates are for these names as well'
complete -c aftk -n "__fish_aftk_using_subcommand serve" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand serve" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand serve" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand serve" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand export" -s p -l platform -d 'Only this platform of each image, for example linux/arm64; several are possible. docker-archive holds one, by default this machine\'s' -r
complete -c aftk -n "__fish_aftk_using_subcommand export" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand export" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand export" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand export" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand export" -s n -l dry-run -d 'Only say what would be written'
complete -c aftk -n "__fish_aftk_using_subcommand export" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand export" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand export" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand export" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand push" -l from -d 'Push what REQUEST stands for, read as collect does, in place of what the store has: docker-archive:FILE, oci-archive:FILE, oci:DIR, docker-daemon:IMAGE, npm-tarball:FILE (a .tgz, or a directory or tar of them); it is staged in TMPDIR. Several are possible' -r
complete -c aftk -n "__fish_aftk_using_subcommand push" -l map -d 'What names become: \'docker.io/library/*=base/*\'; the first that matches counts' -r
complete -c aftk -n "__fish_aftk_using_subcommand push" -l keep-host -d 'Keep the host of the source in names: docker.io/library/redis; else they begin after it' -r -f -a "true\t''
false\t''"
complete -c aftk -n "__fish_aftk_using_subcommand push" -l tag -d 'Tag what is pushed with TAG, in place of its own tags; for one image' -r
complete -c aftk -n "__fish_aftk_using_subcommand push" -l no-move-tags -d 'Leave tags alone that point at something else there, and end with 6' -r -f -a "true\t''
false\t''"
complete -c aftk -n "__fish_aftk_using_subcommand push" -l rewrite-location -d 'Where an upload goes on: only where the registry says, if that is its own address; or at the same host, whatever host it names [default: same-host with --product nexus, else never]' -r -f -a "never\t''
same-host\t''"
complete -c aftk -n "__fish_aftk_using_subcommand push" -l realm-override -d 'Ask for tokens at URL, whatever place to sign in at the registry names' -r
complete -c aftk -n "__fish_aftk_using_subcommand push" -l product -d 'What the target is: harbor looks for the project of each image before; nexus shows the account from the first request on, and asks the registry itself for tokens, whatever host it names; aptly takes packages by its REST interface, and publishes them [default: generic]' -r -f -a "generic\t''
harbor\t''
nexus\t''
aptly\t''"
complete -c aftk -n "__fish_aftk_using_subcommand push" -l create-projects -d 'Make projects that are not there (with --product harbor), for their members alone' -r -f -a "true\t''
false\t''"
complete -c aftk -n "__fish_aftk_using_subcommand push" -l signing-key -d 'Let aptly sign what it publishes with KEY of its own keyring, a fingerprint or an id (with --product aptly); else it takes the first one' -r
complete -c aftk -n "__fish_aftk_using_subcommand push" -l ca-file -d 'Also trust the certificate authorities in FILE (PEM), whatever other settings say' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand push" -l insecure-host -d 'Speak plain HTTP with HOST, or HOST:PORT, although it is not this machine; where the client\'s own settings say so too (npm\'s `strict-ssl=false`), do not check its certificate either' -r
complete -c aftk -n "__fish_aftk_using_subcommand push" -l limit-rate -d 'Move at most so many bytes a second, for example 2MiB' -r
complete -c aftk -n "__fish_aftk_using_subcommand push" -s j -l jobs -d 'How many transfers at once' -r
complete -c aftk -n "__fish_aftk_using_subcommand push" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand push" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand push" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand push" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand push" -s n -l dry-run -d 'Only look what is there, and say what would be done'
complete -c aftk -n "__fish_aftk_using_subcommand push" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand push" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand push" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand push" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand push" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand status" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand status" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand status" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand status" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand status" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand status" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand status" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand status" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand ls" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand ls" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand ls" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand ls" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand ls" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand ls" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand ls" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand ls" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand ls" -s h -l help -d 'Print help'
complete -c aftk -n "__fish_aftk_using_subcommand why" -s f -l file -d 'The project\'s aftk.toml; by default the one that is here, if there is one' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand why" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand why" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand why" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand why" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand why" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand why" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand why" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand why" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand why" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand wanted" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand wanted" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand wanted" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand wanted" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand wanted" -l clear -d 'Forget what is listed'
complete -c aftk -n "__fish_aftk_using_subcommand wanted" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand wanted" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand wanted" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand wanted" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand wanted" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand forget" -l channel -d 'The channel that --keep-last and --keep-within are about' -r
complete -c aftk -n "__fish_aftk_using_subcommand forget" -l keep-last -d 'Forget what the newest N bundles of the channel do not list, and its earlier states' -r
complete -c aftk -n "__fish_aftk_using_subcommand forget" -l keep-within -d 'The same with the bundles that came within a time (30d, 6w, 6m, 1y) and the newest one' -r
complete -c aftk -n "__fish_aftk_using_subcommand forget" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand forget" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand forget" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand forget" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand forget" -s n -l dry-run -d 'Only say what would go, and how much gc would free'
complete -c aftk -n "__fish_aftk_using_subcommand forget" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand forget" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand forget" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand forget" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand forget" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand rollback" -l to -d 'Go back to what was visible with this sequence; else to what was visible before' -r
complete -c aftk -n "__fish_aftk_using_subcommand rollback" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand rollback" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand rollback" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand rollback" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand rollback" -s n -l dry-run -d 'Only say what would be shown'
complete -c aftk -n "__fish_aftk_using_subcommand rollback" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand rollback" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand rollback" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand rollback" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand rollback" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand promote" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand promote" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand promote" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand promote" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand promote" -s n -l dry-run -d 'Only say what would be shown'
complete -c aftk -n "__fish_aftk_using_subcommand promote" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand promote" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand promote" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand promote" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand promote" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand check" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand check" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand check" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand check" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand check" -l rebuild -d 'Make the catalogue again from what was imported, in place of one that is lost or damaged; hold it against a sound one. No other aftk may use this home meanwhile. Blobs are not hashed'
complete -c aftk -n "__fish_aftk_using_subcommand check" -s n -l dry-run -d 'With --rebuild: only say what it would come to'
complete -c aftk -n "__fish_aftk_using_subcommand check" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand check" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand check" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand check" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand gc" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand gc" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand gc" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand gc" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand gc" -s n -l dry-run -d 'Only say what would be freed'
complete -c aftk -n "__fish_aftk_using_subcommand gc" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand gc" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand gc" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand gc" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand gc" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand receipt" -l site -d 'The name by which outside knows this site' -r
complete -c aftk -n "__fish_aftk_using_subcommand receipt" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand receipt" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand receipt" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand receipt" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand receipt" -l short -d 'List only which bundles are here whole, not every blob: a few lines'
complete -c aftk -n "__fish_aftk_using_subcommand receipt" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand receipt" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand receipt" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand receipt" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand receipt" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand backup" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand backup" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand backup" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand backup" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand backup" -l without-hosted -d 'Leave out the blobs that clients pushed'
complete -c aftk -n "__fish_aftk_using_subcommand backup" -s n -l dry-run -d 'Only say what would be in it'
complete -c aftk -n "__fish_aftk_using_subcommand backup" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand backup" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand backup" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand backup" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand backup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand restore" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand restore" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand restore" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand restore" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand restore" -s n -l dry-run -d 'Only verify the backup'
complete -c aftk -n "__fish_aftk_using_subcommand restore" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand restore" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand restore" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand restore" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand recover" -l min-sequence -d 'The lowest sequence of a channel that is taken from now on: prod=42; each channel that is here has to be named' -r
complete -c aftk -n "__fish_aftk_using_subcommand recover" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand recover" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand recover" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand recover" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand recover" -s n -l dry-run -d 'Only say what would be done'
complete -c aftk -n "__fish_aftk_using_subcommand recover" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand recover" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand recover" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand recover" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand recover" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand key; and not __fish_seen_subcommand_from new rotate list show trust revoke" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand key; and not __fish_seen_subcommand_from new rotate list show trust revoke" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand key; and not __fish_seen_subcommand_from new rotate list show trust revoke" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand key; and not __fish_seen_subcommand_from new rotate list show trust revoke" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand key; and not __fish_seen_subcommand_from new rotate list show trust revoke" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand key; and not __fish_seen_subcommand_from new rotate list show trust revoke" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand key; and not __fish_seen_subcommand_from new rotate list show trust revoke" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand key; and not __fish_seen_subcommand_from new rotate list show trust revoke" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand key; and not __fish_seen_subcommand_from new rotate list show trust revoke" -s h -l help -d 'Print help'
complete -c aftk -n "__fish_aftk_using_subcommand key; and not __fish_seen_subcommand_from new rotate list show trust revoke" -f -a "new" -d 'Make a key of this home\'s own'
complete -c aftk -n "__fish_aftk_using_subcommand key; and not __fish_seen_subcommand_from new rotate list show trust revoke" -f -a "rotate" -d 'Make another key with which this site signs what it serves of an ecosystem, such as apt'
complete -c aftk -n "__fish_aftk_using_subcommand key; and not __fish_seen_subcommand_from new rotate list show trust revoke" -f -a "list" -d 'List this home\'s keys and those it trusts'
complete -c aftk -n "__fish_aftk_using_subcommand key; and not __fish_seen_subcommand_from new rotate list show trust revoke" -f -a "show" -d 'Print a public key (PEM); by default the one that `collect` uses'
complete -c aftk -n "__fish_aftk_using_subcommand key; and not __fish_seen_subcommand_from new rotate list show trust revoke" -f -a "trust" -d 'Trust the public key in a PEM file to sign bundles'
complete -c aftk -n "__fish_aftk_using_subcommand key; and not __fish_seen_subcommand_from new rotate list show trust revoke" -f -a "revoke" -d 'Stop trusting a key, for ever'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from new" -l algorithm -d 'The algorithm' -r -f -a "ed25519\t''
ecdsa-p384-sha384\t''"
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from new" -l passphrase-file -d 'Encrypt the private key with the passphrase in FILE' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from new" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from new" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from new" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from new" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from new" -s n -l dry-run -d 'Only say what would change'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from new" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from new" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from new" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from new" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from new" -s h -l help -d 'Print help'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from rotate" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from rotate" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from rotate" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from rotate" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from rotate" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from rotate" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from rotate" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from rotate" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from list" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from list" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from list" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from list" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from list" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from list" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from show" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from show" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from show" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from show" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from show" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from show" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from trust" -l name -d 'Who has it' -r
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from trust" -l channel -d 'Only for this channel; several are possible' -r
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from trust" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from trust" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from trust" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from trust" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from trust" -s n -l dry-run -d 'Only say what would change'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from trust" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from trust" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from trust" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from trust" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from trust" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from revoke" -l retired-after -d 'Keep what it signed up to sequence SEQ' -r
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from revoke" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from revoke" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from revoke" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from revoke" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from revoke" -l compromised -d 'Refuse everything it ever signed (the default)'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from revoke" -s n -l dry-run -d 'Only say what would change'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from revoke" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from revoke" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from revoke" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from revoke" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand key; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand account; and not __fish_seen_subcommand_from add remove ls" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand account; and not __fish_seen_subcommand_from add remove ls" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand account; and not __fish_seen_subcommand_from add remove ls" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand account; and not __fish_seen_subcommand_from add remove ls" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand account; and not __fish_seen_subcommand_from add remove ls" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand account; and not __fish_seen_subcommand_from add remove ls" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand account; and not __fish_seen_subcommand_from add remove ls" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand account; and not __fish_seen_subcommand_from add remove ls" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand account; and not __fish_seen_subcommand_from add remove ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand account; and not __fish_seen_subcommand_from add remove ls" -f -a "add" -d 'Make an account, or give one another password, which is read from stdin'
complete -c aftk -n "__fish_aftk_using_subcommand account; and not __fish_seen_subcommand_from add remove ls" -f -a "remove" -d 'Remove an account; whoever is signed in with it is not any more'
complete -c aftk -n "__fish_aftk_using_subcommand account; and not __fish_seen_subcommand_from add remove ls" -f -a "ls" -d 'List the accounts'
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from add" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from add" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from add" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from add" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from add" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from add" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from add" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from add" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from remove" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from remove" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from remove" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from remove" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from remove" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from remove" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from ls" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from ls" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from ls" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from ls" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from ls" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from ls" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from ls" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand account; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c aftk -n "__fish_aftk_using_subcommand login" -s u -l user -d 'The user; the password is read from stdin' -r
complete -c aftk -n "__fish_aftk_using_subcommand login" -l ca-file -d 'Also trust the certificate authorities in FILE (PEM), whatever other settings say' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand login" -l insecure-host -d 'Speak plain HTTP with HOST, or HOST:PORT, although it is not this machine; where the client\'s own settings say so too (npm\'s `strict-ssl=false`), do not check its certificate either' -r
complete -c aftk -n "__fish_aftk_using_subcommand login" -l limit-rate -d 'Move at most so many bytes a second, for example 2MiB' -r
complete -c aftk -n "__fish_aftk_using_subcommand login" -s j -l jobs -d 'How many transfers at once' -r
complete -c aftk -n "__fish_aftk_using_subcommand login" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand login" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand login" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand login" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand login" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand login" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand login" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand login" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand login" -s h -l help -d 'Print help'
complete -c aftk -n "__fish_aftk_using_subcommand setup" -l server -d 'The server\'s address' -r
complete -c aftk -n "__fish_aftk_using_subcommand setup" -l ca -d 'The certificate authority (PEM) that clients need to believe an https server [default: this site\'s own, if it has one]' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand setup" -l rewrite-lock -d 'Put the server\'s addresses into a lockfile of the client, in place of the registries\' that it was made from; nothing else in it changes' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand setup" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand setup" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand setup" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand setup" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand setup" -l write -d 'Write it into the client\'s own file, between marks'
complete -c aftk -n "__fish_aftk_using_subcommand setup" -l undo -d 'Take out what --write wrote'
complete -c aftk -n "__fish_aftk_using_subcommand setup" -s n -l dry-run -d 'Only say what --write, --undo or --rewrite-lock would change'
complete -c aftk -n "__fish_aftk_using_subcommand setup" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand setup" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand setup" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand setup" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand setup" -s h -l help -d 'Print help'
complete -c aftk -n "__fish_aftk_using_subcommand completion" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand completion" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand completion" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand completion" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand completion" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand completion" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand completion" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand completion" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand completion" -s h -l help -d 'Print help'
complete -c aftk -n "__fish_aftk_using_subcommand demo" -s o -l out -d 'Keep everything in DIR, which must not exist yet' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand demo" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand demo" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand demo" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand demo" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand demo" -l real -d 'Fail with exit code 5 rather than use invented packages'
complete -c aftk -n "__fish_aftk_using_subcommand demo" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand demo" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand demo" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand demo" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aftk -n "__fish_aftk_using_subcommand version" -l home -d 'Keep everything of this side (store, keys, trust, configuration) in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand version" -s C -l directory -d 'Work in DIR' -r -F
complete -c aftk -n "__fish_aftk_using_subcommand version" -l color -d 'When to use colour; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c aftk -n "__fish_aftk_using_subcommand version" -l progress -d 'How to show progress on stderr: bars on a terminal (auto), a line a stage, every event as a JSON line, nothing' -r -f -a "auto\t''
plain\t''
json\t''
none\t''"
complete -c aftk -n "__fish_aftk_using_subcommand version" -l json -d 'Print one JSON object on stdout'
complete -c aftk -n "__fish_aftk_using_subcommand version" -s q -l quiet -d 'Print only results and errors'
complete -c aftk -n "__fish_aftk_using_subcommand version" -s y -l yes -d 'Answer yes to what would be asked; nothing is asked but at a terminal'
complete -c aftk -n "__fish_aftk_using_subcommand version" -s v -l verbose -d 'Print more; given twice, every item'
complete -c aftk -n "__fish_aftk_using_subcommand version" -s h -l help -d 'Print help'
