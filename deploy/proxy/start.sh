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
resolvers=$(awk '$1 == "nameserver" { print ($2 ~ /:/) ? "[" $2 "]" : $2 }' /etc/resolv.conf | tr '\n' ' ')

sed -e "s|@RESOLVERS@|$resolvers|" -e "s|@TLS@|$tls|" -e "s|@PREFIX@|${TAGBELT_PREFIX:-}|g" \
    /etc/tagbelt/nginx.conf > /tmp/nginx.conf
exec nginx -c /tmp/nginx.conf -g 'daemon off;'
