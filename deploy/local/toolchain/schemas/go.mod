module toolchain-schemas

go 1.26.0

require (
	github.com/dapr/dapr v1.18.2
	k8s.io/kubernetes v1.36.3
	sigs.k8s.io/gateway-api v1.5.1
)
