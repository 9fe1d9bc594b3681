# Says that everything is in force, and takes the plugin.
printf '\010\000\000\000\004\001\001\001\001\001\001\007'
length=$(/bin/dd bs=1 count=4 2>/dev/null | /usr/bin/od -An -tu4 | /usr/bin/tr -d ' ')
/usr/bin/head -c "$length" >/dev/null
