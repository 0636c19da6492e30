#!/bin/sh
# Prints the home of a JDK 25.0.3 or newer, or says how to get one and fails.
# Looked at, in this order: JAVA_HOME, system folders, SDKMAN, Homebrew, the java on the PATH.
# Reads each JDK's file 'release' and starts no JVM, so that it costs a millisecond.
set -eu

suitable() {
  [ -x "$1/bin/java" ] && [ -x "$1/bin/javac" ] && [ -r "$1/release" ] || return 1
  while IFS='=' read -r key value; do
    [ "$key" = JAVA_VERSION ] || continue
    value=${value#\"}
    value=${value%\"}
    feature=${value%%.*}
    rest=${value#"$feature"}
    rest=${rest#.}
    minor=${rest%%.*}
    patch=${rest#"$minor"}
    patch=${patch#.}
    patch=${patch%%.*}
    case "$feature${minor:-0}${patch:-0}" in *[!0-9]*) return 1 ;; esac
    [ "$feature" -gt 25 ] && return 0
    [ "$feature" -eq 25 ] && [ $((${minor:-0} * 1000 + ${patch:-0})) -ge 3 ]
    return
  done <"$1/release"
  return 1
}

offer() {
  for home in "$@"; do
    if suitable "$home"; then
      printf '%s\n' "$home"
      exit 0
    fi
  done
}

offer "${JAVA_HOME:-}" \
  /usr/lib/jvm/* /opt/jdk* /opt/java/* \
  "${SDKMAN_DIR:-${HOME:-}/.sdkman}"/candidates/java/* "${HOME:-}"/.jdks/* \
  /Library/Java/JavaVirtualMachines/*/Contents/Home \
  "${HOME:-}"/Library/Java/JavaVirtualMachines/*/Contents/Home \
  /opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home \
  /usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home

# The java on the PATH is usually a chain of links that ends at HOME/bin/java.
if java=$(command -v java); then
  while link=$(readlink "$java"); do
    case $link in
      /*) java=$link ;;
      *) java=$(dirname "$java")/$link ;;
    esac
  done
  offer "$(cd "$(dirname "$java")/.." && pwd -P)"
fi

cat >&2 <<'MESSAGE'
No JDK 25.0.3 or newer was found (a JDK with javac; a JRE is not enough). Get one, for example
  any system      Eclipse Temurin 25: https://adoptium.net/temurin/releases/?version=25
  Debian, Ubuntu  apt install temurin-25-jdk   (after adding Adoptium's repository), or openjdk-25-jdk
  SDKMAN          sdk install java 25.0.3-tem
  macOS           brew install --cask temurin@25
and set JAVA_HOME to it if it lies in an unusual place.
MESSAGE
exit 1
