# The reconciler as a long-running service of the cluster that it keeps: two replicas, of which one acts.
#
#   nomad job run docs/reconciler.nomad.hcl
#
# Before: build the image (`pip install .` on python:3.11-slim is enough), put the documents into the repository that the
# artifact names, and write the ACL policy that `reconcile iam` prints to the job's workload identity:
#
#   reconcile iam --only nomad | nomad acl policy apply -namespace default -job nomad-reconciler nomad-reconciler -

variable "image" {
  type = string
}

variable "documents" {
  type        = string
  description = "A git repository with ClusterGroup documents under specs/, as go-getter writes it"
}

job "nomad-reconciler" {
  type     = "service"
  priority = 90

  group "reconciler" {
    count = 2 # the second one takes over 45 s after the first one's machine is gone

    constraint {
      distinct_hosts = true
    }

    task "reconcile" {
      driver = "docker"

      config {
        image   = var.image
        command = "reconcile"
        args    = ["-f", "${NOMAD_TASK_DIR}/documents/specs"]
      }

      artifact {
        source      = var.documents
        destination = "local/documents"
      }

      identity {
        env = true # NOMAD_TOKEN
      }

      # Servers are asked at their own addresses. With TLS, render NOMAD_CACERT, NOMAD_CLIENT_CERT and NOMAD_CLIENT_KEY here.
      # A document without `servers` needs no more than the task API: NOMAD_ADDR = "unix:///secrets/api.sock".

      kill_timeout = "60s" # what is under way is written down; the lock is given back

      resources {
        cpu    = 500
        memory = 512
      }
    }
  }
}
