# A Consul server for one machine. consul.ts adds its ports, its folder and its token.
server           = true
bootstrap_expect = 1
node_name        = "sidecart"

# Only this machine reaches it, and only whoever has the token may read or change names: web pages can send requests, too.
bind_addr   = "127.0.0.1"
client_addr = "127.0.0.1"
acl {
  enabled        = true
  default_policy = "deny"
}

# What no sidecar needs stays closed.
ports {
  dns      = -1
  grpc     = -1
  grpc_tls = -1
  serf_wan = -1
}
connect { enabled = false }
peering { enabled = false }

# It asks nobody for newer versions.
disable_update_check = true

# All sidecars come from one address. By default that has 200 connections.
limits { http_max_conns_per_client = -1 }

# The values for a network cost seconds after each start, and there is no network.
performance { raft_multiplier = 1 }

ui_config { enabled = true }
