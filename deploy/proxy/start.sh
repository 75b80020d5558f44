#!/bin/sh
# Fills in nginx.conf and starts nginx, as a user without rights on a read-only file system.
#   TAGBELT_PREFIX       a path, such as /ner, that all lies below
#   TAGBELT_TLS          on: /certificates holds certificate.pem (with its chain) and key.pem
set -eu

tls=
if [ "${TAGBELT_TLS:-off}" = on ]; then
    for file in certificate.pem key.pem; do
        [ -r "/certificates/$file" ] || { echo "TAGBELT_TLS=on: $file cannot be read in TAGBELT_CERTIFICATES" >&2; exit 1; }
    done
    tls=' ssl; ssl_certificate /certificates/certificate.pem; ssl_certificate_key /certificates/key.pem'
fi
case "${TAGBELT_PREFIX:-}" in
    '') ;;
    *[!A-Za-z0-9/_.~-]* | *//* | */ | [!/]*)
        echo "TAGBELT_PREFIX=$TAGBELT_PREFIX: say a path such as /ner" >&2; exit 1 ;;
esac
sed -e "s|@TLS@|$tls|" -e "s|@PREFIX@|${TAGBELT_PREFIX:-}|g" /etc/tagbelt/nginx.conf > /tmp/nginx.conf

# The addresses that have the name now; a name server that knows none for a moment changes nothing.
replicas() {
    found=$(getent ahostsv4 tagbelt | awk '{ print "server " $1 ":8000 max_fails=1 fail_timeout=3s;" }' | sort -u)
    [ -n "$found" ] && [ "$found" != "$(cat /tmp/replicas.conf 2>/dev/null)" ] && echo "$found" > /tmp/replicas.conf
}

until replicas; do sleep 1; done
# --scale and a lost replica are noticed within a second; what is under way goes on in the old processes.
while sleep 1; do
    if replicas; then nginx -c /tmp/nginx.conf -s reload; fi
done &
exec nginx -c /tmp/nginx.conf -g 'daemon off;'
