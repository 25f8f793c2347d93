#!/bin/sh
# Three network namespaces with address translation between them, closed to the outside. Needs root, iproute2, nftables and conntrack.
#
#   NAME-pub 10.97.1.1 ── 10.97.1.2 NAME-nat 192.168.50.1 ── 192.168.50.10 NAME-lan
#
# usage: nat.sh up NAME        masquerading towards pub, with source ports of its own choice
#        nat.sh forward NAME   what comes to 10.97.1.2 on SIP and audio ports goes to 192.168.50.10
#        nat.sh rebind NAME    forgets every translation, as a router does that restarts
#        nat.sh down NAME
set -eu
do=$1 pub=$2-pub nat=$2-nat lan=$2-lan
case $do in
up)
  for one in $pub $nat $lan; do ip netns add "$one"; ip -n "$one" link set lo up; done
  ip link add p0 netns "$pub" type veth peer name p1 netns "$nat"
  ip link add l0 netns "$lan" type veth peer name l1 netns "$nat"
  ip -n "$pub" addr add 10.97.1.1/24 dev p0; ip -n "$nat" addr add 10.97.1.2/24 dev p1
  ip -n "$lan" addr add 192.168.50.10/24 dev l0; ip -n "$nat" addr add 192.168.50.1/24 dev l1
  ip -n "$pub" link set p0 up; ip -n "$nat" link set p1 up; ip -n "$lan" link set l0 up; ip -n "$nat" link set l1 up
  ip -n "$lan" route add default via 192.168.50.1
  ip netns exec "$nat" sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
  ip netns exec "$nat" nft -f - <<'NFT'
table ip nat {
  chain pre { type nat hook prerouting priority -100; }
  chain post { type nat hook postrouting priority 100; oifname "p1" masquerade random; }
}
NFT
  ;;
forward) ip netns exec "$nat" nft add rule ip nat pre iifname p1 udp dport '{ 5060, 20000-20199 }' dnat to 192.168.50.10 ;;
rebind) ip netns exec "$nat" conntrack -F ;;
down) for one in $pub $nat $lan; do ip netns del "$one" 2>/dev/null || true; done ;;
esac
