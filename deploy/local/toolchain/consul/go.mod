module toolchain-consul

go 1.26.0

require github.com/hashicorp/consul v1.14.11
