"""What our company adds to dojo-deploy. Files name it as `our_company.deploys:Canary`."""
