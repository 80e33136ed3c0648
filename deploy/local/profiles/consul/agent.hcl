# A Consul server for one machine. profile.ts adds its ports, its folder and its token.
server           = true
bootstrap_expect = 1
node_name        = "sidecart"

# Only this machine reaches it. Reading and changing names requires the token, because web pages can send requests, too.
bind_addr   = "127.0.0.1"
client_addr = "127.0.0.1"
acl {
  enabled        = true
  default_policy = "deny"
}

# Ports that no sidecar needs stay closed.
ports {
  dns      = -1
  grpc     = -1
  grpc_tls = -1
  serf_wan = -1
}
connect { enabled = false }
peering { enabled = false }

# Consul sends no requests about newer versions.
disable_update_check = true

# All sidecars have the same address, which may open 200 connections by default.
limits { http_max_conns_per_client = -1 }

# The values for a network would cost seconds after each start. One machine does not need them.
performance { raft_multiplier = 1 }

ui_config { enabled = true }
