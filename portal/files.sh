#!/bin/sh
# files.sh
#	  Writes the C file with all files of portal/www, for the binary. Left out of what a
#	  browser fetches are empty lines, the tabs that lines begin with, so no text may go on
#	  in another line, and comments that have lines of their own or end a line behind tabs.
#	  One file more is made: samples.js, the code for receivers that docs/receivers.md has.
set -eu

www=build/portal/www

# fetched FILE: what a browser is to fetch of it.
fetched()
{
	mkdir -p "$(dirname "$www/$1")"
	case $1 in
		samples.js) samples > "$www/$1" ;;
		*.js | *.css)
			awk '/^\t*\/\*/ { skip = 1 } skip { if (/\*\/[ \t]*$/) skip = 0; next }
				{ sub(/\t+\/\*.*\*\/$/, ""); sub(/^\t+/, "") } /./' \
				"portal/www/$1" > "$www/$1" ;;
		*) cp "portal/www/$1" "$www/$1" ;;
	esac
}

# samples: the first block of each of these languages, as texts of JavaScript.
samples()
{
	awk '
		BEGIN {
			split("js Node.js python Python php PHP go Go java Java csharp C#", given, " ")
			for (i = 1; i in given; i += 2) names[given[i]] = given[i + 1]
			print "export const samples = ["
		}
		/^```/ && inside { print "`],"; inside = 0; next }
		/^```/ {
			name = names[substr($0, 4)]
			if (name != "") { printf "[\047%s\047, `", name; inside = 1; names[substr($0, 4)] = "" }
			next
		}
		inside { gsub(/[\\`]|[$][{]/, "\\\\&"); print }
		END { print "];" }' docs/receivers.md
}

echo '#include "portal/files.h"'
list=
number=0
for file in $( (cd portal/www && find . -type f | sed 's/^..//'; echo samples.js) | LC_ALL=C sort); do
	case $file in
		*.html) type='text/html; charset=utf-8' ;;
		*.css) type='text/css; charset=utf-8' ;;
		*.js) type='text/javascript; charset=utf-8' ;;
		*.svg) type='image/svg+xml' ;;
		*.png) type='image/png' ;;
		*.ico) type='image/x-icon' ;;
		*.txt) type='text/plain; charset=utf-8' ;;
		*) echo "portal/www/$file: no type is known for such a file" >&2; exit 1 ;;
	esac
	fetched "$file"
	etag=$(sha256sum "$www/$file" | cut -c1-16)
	name=portal_file_$number
	number=$((number + 1))
	cat <<END
__asm__(".section .rodata\n.global ${name}\n${name}:\n.incbin \"$www/$file\"\n"
	".global ${name}_end\n${name}_end:\n.byte 0\n.previous\n");
extern const unsigned char ${name}[], ${name}_end[];
END
	list="$list	{\"$file\", \"$type\", \"\\\"$etag\\\"\", $name, ${name}_end},
"
done
echo 'const PortalFile portal_files[] = {'
printf '%s' "$list"
echo '	{0}'
echo '};'
