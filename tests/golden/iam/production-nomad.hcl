# What waits and what runs, wherever it is; asks the scheduler about what waits, stops batch copies for Nomad to replace.
namespace "*" {
  capabilities = ["list-jobs", "read-job", "plan-job", "alloc-lifecycle"]
}

# The journal, the lock and the status of this group; a rule by name replaces the one above.
namespace "default" {
  capabilities = ["list-jobs", "read-job", "plan-job", "alloc-lifecycle"]
  variables {
    path "nomad-reconciler/prod-use1/*" {
      capabilities = ["read", "write"]
    }
  }
}

# Drains, eligibility, and forgetting nodes whose machines are gone.
node {
  policy = "write"
}

node_pool "*" {
  policy = "read"
}

# Introduces servers to each other, and makes gossip forget dead ones.
agent {
  policy = "write"
}

# Whether scheduling is paused, and what autopilot says of the servers.
operator {
  policy = "read"
}
